"""Builds the whole corpus in one pass; a folder holds it whole, or not at all, or is known to be half built."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from data.marker import FILE_NAME, Marker, read_marker
from results import atomic
from results.refusal import Refusal

# Marks a folder as ours while it is being built; its lock makes a second builder wait.
_BUILDING = ".building-digits"

_TREES = ("imagenet", "places205", "places205_raw", "inat18", "VOCdevkit", "coco")
_LIBRARIES = ("scikit-learn", "numpy", "scipy", "pillow")


def build(root: Path, seed: int = 0) -> tuple[Marker, bool]:
    """Write the corpus below `root`; return its marker and whether it was written now (False: it was whole already).

    The same seed and library versions give the same bytes. `CORPUS.json` is written last, so a build that was killed
    leaves a folder without it, which the next call clears and builds anew; a second call at the same time waits.

    Raises:
        Refusal: `root` holds something else, a corpus of another seed or a damaged one, or cannot be written.
    """
    if (whole := _existing(root, seed)) is not None:
        return whole, False
    try:
        with _claimed(root):
            if (whole := _existing(root, seed)) is not None:
                return whole, False
            for tree in _TREES:
                shutil.rmtree(root / tree, ignore_errors=True)
            marker = _write_trees(root, seed)
            atomic.write_text(root / FILE_NAME, marker.to_json())
            (root / _BUILDING).unlink()
            return marker, True
    except OSError as error:
        raise Refusal(f"cannot write the corpus to {root}: {error.strerror}; free space or choose another") from error


def count_files(root: Path) -> int:
    """How many files the corpus's trees hold."""
    return sum(len(files) for tree in _TREES for _, _, files in os.walk(root / tree)) if root.is_dir() else 0


def _existing(root: Path, seed: int) -> Marker | None:
    """The marker of a whole corpus of this seed; None where one may be built."""
    if (root / FILE_NAME).is_file():
        marker = read_marker(root / FILE_NAME)
        if marker.seed != seed:
            raise Refusal(f"{root} holds the digits corpus of seed {marker.seed}, not {seed}; choose another folder")
        if (found := count_files(root)) != marker.file_count:
            raise Refusal(f"{root} holds {found} of {marker.file_count} files of its corpus; delete it and run again")
        return marker
    if root.exists() and not (root.is_dir() and (not any(root.iterdir()) or (root / _BUILDING).exists())):
        raise Refusal(f"{root} holds something else; choose an empty or new folder for the digits corpus")
    return None


@contextmanager
def _claimed(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / _BUILDING).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_trees(root: Path, seed: int) -> Marker:
    # scikit-learn takes most of a second to import, which a corpus that is whole already need not wait for.
    from data.digits import coco, folders, source, voc

    digits = source.load(seed)
    photos = source.photographs()
    jpegs = source.digit_jpegs(digits, seed)
    counts = folders.write_imagenet(root / "imagenet", digits, jpegs, seed)
    counts["places205"] = folders.write_places(root / "places205", root / "places205_raw", digits, jpegs, seed)
    counts["inat18"] = folders.write_inat(root / "inat18", digits, jpegs, seed)
    counts |= voc.write_voc(root / "VOCdevkit", digits, photos, seed)
    counts["coco"] = coco.write_coco(root / "coco", digits, photos, seed)
    classes = {dataset: {"voc07": 20, "voc0712": 20, "coco": 80}.get(dataset, 10) for dataset in counts}
    versions = {name: metadata.version(name) for name in _LIBRARIES}
    return Marker(seed, counts, classes, count_files(root), versions)


def summary(root: Path, marker: Marker, started: float, written: bool) -> str:
    """What was done, in one line."""
    if not written:
        return f"{root}: the digits corpus is whole already ({marker.file_count:,} files, seed {marker.seed})"
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    seconds = time.monotonic() - started
    return f"{root}: wrote {marker.file_count:,} files, {size / 1e6:.1f} MB, in {seconds:.1f} s (seed {marker.seed})"
