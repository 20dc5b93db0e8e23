"""Checkpoints that the libraries wrote: only those that are as they were written are resumed from."""

import sys
from collections.abc import Sequence
from pathlib import Path

from results import atomic, sealed

LAST = "last_checkpoint"
LINK = "checkpoint.torch"


def drop_damaged(folder: Path, pattern: str) -> Sequence[Path]:
    """Remove the checkpoints in `folder` that are not as they were sealed, naming each on stderr; those that stay."""
    kept = []
    for path in sorted(folder.glob(pattern)):
        if problem := sealed.damage(path):
            print(f"warning: {problem}; the checkpoint before it, or the start, takes its place", file=sys.stderr)
            sealed.unseal(path)
        else:
            kept.append(path)
    return kept


def for_vissl(folder: Path) -> None:
    """Let VISSL find whole checkpoints alone; it takes the one of the highest phase, and trips over a dead link."""
    if not drop_damaged(folder, "model_phase*.torch"):
        (folder / LINK).unlink(missing_ok=True)


def for_detectron2(folder: Path) -> None:
    """Let Detectron2's note of its last checkpoint name the newest whole one; without any there is no note."""
    note = folder / LAST
    kept = drop_damaged(folder, "model_*.pth")
    if not kept:
        note.unlink(missing_ok=True)
    elif not note.is_file() or note.read_text(encoding="utf-8", errors="replace").strip() not in {p.name for p in kept}:
        atomic.write_text(note, kept[-1].name)
