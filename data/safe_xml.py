"""XML from strangers: no document type, no entities, nothing fetched, bounded in size and depth."""

import xml.etree.ElementTree as ET
from pathlib import Path
from xml.parsers import expat

from results.refusal import Refusal

# VOC's largest annotation has 14 kB; this leaves room without letting one file fill the memory.
MAX_BYTES = 1_000_000
MAX_DEPTH = 50


class _ForbiddenError(Exception):
    """The document uses something no annotation needs."""


def parse(path: Path) -> ET.Element:
    """The root element of the XML file at `path`.

    Raises:
        Refusal: it cannot be read or parsed, is larger than `MAX_BYTES`, nests deeper than `MAX_DEPTH`, or declares a
            document type (the only way to entity expansion and external entities); the message names the file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refusal(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise Refusal(f"{path}: larger than {MAX_BYTES:,} bytes, which no annotation is; restore the published file")
    try:
        return _parse(content)
    # An encoding declaration that expat cannot serve surfaces as LookupError or ValueError.
    except (expat.ExpatError, _ForbiddenError, LookupError, ValueError) as error:
        raise Refusal(f"{path}: not usable XML ({error}); restore the published file") from error


def _parse(content: bytes) -> ET.Element:
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise _ForbiddenError(f"nested deeper than {MAX_DEPTH} elements")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse_document_type(*_: object) -> None:
        raise _ForbiddenError("it declares a document type, through which entities could be expanded or fetched")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse_document_type
    parser.Parse(content, True)
    return builder.close()
