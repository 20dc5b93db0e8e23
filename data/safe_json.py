"""JSON from strangers: parsed, or refused in one line; and its parts taken out with their types checked."""

import json
from pathlib import Path
from typing import Any

from results.refusal import Refusal


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in the file at `path`.

    Raises:
        Refusal: the file is missing, is not JSON, nests too deeply, or holds something other than an object.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise Refusal(f"{path} does not exist; put the published file there") from error
    except (OSError, ValueError, RecursionError) as error:
        raise Refusal(f"{path}: not readable JSON ({error}); restore the published file") from error
    if not isinstance(content, dict):
        raise Refusal(f"{path}: holds a JSON {type(content).__name__}, expected an object")
    return content


def objects(content: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    """The list of objects under `key`.

    Raises:
        Refusal: it is absent, not a list, or holds something other than objects.
    """
    found = content.get(key)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Refusal(f"{path}: {key!r} is not a list of objects; restore the published file")
    return found


def integer(item: dict[str, Any], key: str, path: Path) -> int:
    """The whole number under `key`.

    Raises:
        Refusal: it is absent or of another type; the message shows the item.
    """
    value = item.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(f"{path}: {key!r} is {value!r} in {str(item)[:120]}, expected a whole number")
    return value
