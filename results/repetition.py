"""A measurement that is made again works in a run folder of its own, and goes on in that one when interrupted."""

from collections.abc import Iterable
from pathlib import Path

from results import atomic

RECORDED_FILE = "recorded"


def note_recorded(folder: Path) -> None:
    """Leave word in the run folder `folder` that the records of its work are written."""
    atomic.write_text(folder / RECORDED_FILE, "")


def first_unrecorded(folders: Iterable[Path]) -> Path:
    """The first of `folders`, which may be endless, whose work no record has come of."""
    return next(folder for folder in folders if not (folder / RECORDED_FILE).exists())
