"""Do the files exist, and do they decode? All of them, in parallel, or a small sample."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np

from data.decode import ImageError, open_image
from data.finding import Check, ImageFile
from data.progress import track

SAMPLE_PER_SPLIT = 64

_FILES_PER_TASK = 32


def missing(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that are not there; reads each folder once, which is much faster than asking for each file."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        by_folder[path.parent].append(path)
    absent: list[Path] = []
    for folder, members in by_folder.items():
        try:
            with os.scandir(folder) as entries:
                present = {entry.name for entry in entries if entry.is_file()}
        except OSError:
            present = set()
        absent += [path for path in members if path.name not in present]
    return absent


def decode_check(split: str, images: Sequence[ImageFile], *, deep: bool, seed: int = 0) -> Check:
    """The check that images decode and have the size their annotation claims: all when `deep`, else a seeded sample."""
    chosen = images if deep else _sample(images, seed)
    name = f"{split} images decode"
    bad: list[tuple[Path, str]] = []
    for path, error in track(_decode_all(chosen), f"decoding {split}", total=len(chosen)):
        if error:
            bad.append((path, error))
    scope = "all" if deep else f"a sample of {len(images):,}"
    if not bad:
        return Check(name, f"{len(chosen):,} decoded ({scope})")
    message = f"{len(bad):,} of {len(chosen):,} ({scope}) cannot be used; the first: {bad[0][1]}"
    return Check.failed(name, message, [path for path, _ in bad])


def decode_error(image: ImageFile) -> str:
    """Why the image cannot be used, or nothing."""
    try:
        found = open_image(image.path).size
    except ImageError as error:
        return str(error)
    if image.size is not None and found != image.size:
        return f"{image.path}: is {found[0]} x {found[1]}, its annotation says {image.size[0]} x {image.size[1]}"
    return ""


def _sample(images: Sequence[ImageFile], seed: int) -> list[ImageFile]:
    size = min(SAMPLE_PER_SPLIT, len(images))
    return [images[int(i)] for i in np.sort(np.random.default_rng(seed).choice(len(images), size, replace=False))]


def _decode_all(images: Sequence[ImageFile]) -> Iterator[tuple[Path, str]]:
    # PIL decodes without holding the interpreter's lock, so threads use every core.
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    tasks = [images[start : start + _FILES_PER_TASK] for start in range(0, len(images), _FILES_PER_TASK)]
    with ThreadPool(workers) as pool:
        for part in pool.imap(_decode_part, tasks):
            yield from part


def _decode_part(images: Sequence[ImageFile]) -> list[tuple[Path, str]]:
    return [(image.path, decode_error(image)) for image in images]
