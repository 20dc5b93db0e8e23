"""Logs of JSON lines that others wrote, or that a kill cut short: what can be read of them, and never an exception."""

import json
from pathlib import Path
from typing import Any


def read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The objects in the file at `path`, in order, and how many of its lines are none; a missing file has no lines."""
    return parse(path.read_text(encoding="utf-8", errors="replace") if path.is_file() else "")


def parse(text: str) -> tuple[list[dict[str, Any]], int]:
    """The objects among the lines of `text`, and how many lines are none; empty lines do not count."""
    found: list[dict[str, Any]] = []
    bad = 0
    for line in text.splitlines():
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            content = None
        if isinstance(content, dict):
            found.append(content)
        else:
            bad += bool(line.strip())
    return found, bad
