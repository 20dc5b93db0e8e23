"""Pictures attached to records, embedded in the page: checked, made small, each shown once."""

import base64
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from results.records import Record
from results.report.html import Markup, element
from results.rows import cell_title

KIND = "picture"
MOST_BYTES = 3_000_000
"""Of all pictures together, before base64 adds a third: the page stays below 5 MB."""
LARGEST_BYTES = 400_000
WIDEST_PIXELS = 1200
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def pictures_section(records: Sequence[Record], folder: Path) -> tuple[Markup | None, list[str]]:
    """Every picture once, newest record first, and a warning for each that is missing, unreadable, or one too many."""
    figures: list[Markup] = []
    warnings: list[str] = []
    seen: set[str] = set()
    left = MOST_BYTES
    for record in sorted(records, key=lambda found: found.created, reverse=True):
        name = record.attachments.get(KIND)
        if name is None:
            continue
        try:
            content, media_type = small_picture((folder / name).read_bytes())
        except (OSError, ValueError) as error:
            warnings.append(f"{folder / name}: no picture to show ({error})")
            continue
        digest = hashlib.sha256(content).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        if len(content) > left:
            warnings.append(f"{folder / name}: left out, the page would grow beyond its size")
            continue
        left -= len(content)
        figures.append(_figure(record, content, media_type))
    if not figures:
        return None, warnings
    section = element(
        "section", element("h2", "Detections"), element("div", *figures, class_="pictures"), id="pictures"
    )
    return section, warnings


def small_picture(content: bytes) -> tuple[bytes, str]:
    """The picture as it may be embedded, and its media type; large ones are scaled down and written as JPEG.

    Raises:
        ValueError: it is neither PNG nor JPEG, or damaged.
    """
    media_type = next((kind for start, kind in SIGNATURES.items() if content.startswith(start)), None)
    if media_type is None:
        raise ValueError("neither PNG nor JPEG")
    if len(content) <= LARGEST_BYTES:
        return content, media_type
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.thumbnail((WIDEST_PIXELS, WIDEST_PIXELS))
            buffer = io.BytesIO()
            picture.convert("RGB").save(buffer, "JPEG", quality=82)
    except Exception as error:  # PIL raises OSError, SyntaxError and others for a damaged file
        raise ValueError(str(error)) from error
    return buffer.getvalue(), "image/jpeg"


def _figure(record: Record, content: bytes, media_type: str) -> Markup:
    title = f"{cell_title(record.cell)}: {record.checkpoint.label}"
    note = f"{record.measurement.value:.1f} {record.measurement.unit}, {record.protocol}, {record.dataset.corpus} data"
    source = f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
    caption = element("figcaption", title, element("small", note))
    return element("figure", caption, element("img", src=source, alt=f"Detections, {title}"), class_="panel")
