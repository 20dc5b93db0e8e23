"""From the official archives' layouts to what the engines read; images are linked, and copied only when asked.

The result appears whole or not at all: it is built in a hidden folder beside the output and renamed when finished.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from data import inat, listing, members, places, voc
from data.checks.images import missing
from data.marker import FILE_NAME, marker_path
from data.progress import track
from results.refusal import Refusal

PREPARED = "PREPARED.json"
DATASETS = ("places205", "inat18", "voc07")

Summary = dict[str, int]


def prepare(dataset: str, root: Path, output: Path, *, copy: bool = False) -> tuple[Summary, bool]:
    """Prepare `dataset` from `root` into `output`; return images by split and whether it was done now.

    - places205: `output`/{train,val}/<class>/<image>, links to the archive's images (copies with `copy`);
    - inat18: `output`/{train,val}_images.npy (absolute paths) and _labels.npy (int64), and classes.json;
    - voc07: the same, with labels (images, 20) int32: 1 present, 0 absent, -1 ignore. Its train is trainval.

    Raises:
        Refusal: the raw data is incomplete or inconsistent, `output` holds something else, or it cannot be written.
    """
    if dataset not in DATASETS:
        raise Refusal(f"{dataset} is read as published; only {', '.join(DATASETS)} are prepared")
    if copy and dataset != "places205":
        raise Refusal(f"{dataset} is prepared as file lists; there is nothing to copy")
    root, output = root.resolve(), output.absolute()
    settings = {"dataset": dataset, "root": str(root), "copy": copy}
    if (done := _existing(output, settings)) is not None:
        return done, False
    write = {"places205": _write_places, "inat18": _write_inat, "voc07": _write_voc}[dataset]
    partial = output.with_name(f".{output.name}.partial")
    try:
        with _alone_below(output.parent):
            summary = _write_whole(write, root, partial, output, settings)
    except OSError as error:
        raise Refusal(f"cannot write {output}: {error.strerror}; free space or choose another folder") from error
    return summary, True


def _existing(output: Path, settings: dict[str, object]) -> Summary | None:
    try:
        content = json.loads((output / PREPARED).read_text(encoding="utf-8"))
        if content["settings"] == settings:
            return dict(content["counts"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise Refusal(f"{output} holds something else; choose an empty or new folder for the prepared data")
    return None


@contextmanager
def _alone_below(folder: Path) -> Iterator[None]:
    """Keep a second preparation from clearing this one's unfinished folder; nothing is left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Refusal(f"another preparation is writing below {folder}; wait for it to end") from error
    finally:
        os.close(descriptor)


def _write_whole(
    write: Callable[[Path, Path, bool], Summary], root: Path, partial: Path, output: Path, settings: dict[str, object]
) -> Summary:
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        summary = write(root, partial, bool(settings["copy"]))
        if (marker := marker_path(root)) is not None:
            # Prepared digits must stay known as digits.
            shutil.copyfile(marker, partial / FILE_NAME)
        text = json.dumps({"settings": settings, "counts": summary}, indent=1) + "\n"
        (partial / PREPARED).write_text(text, encoding="utf-8")
        partial.replace(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return summary


def _write_places(root: Path, target: Path, copy: bool) -> Summary:
    splits = {split: places.read_split(root, split) for split in places.SPLITS}
    label_of = {split: places.label_of_class(images, places.csv_path(root, split)) for split, images in splits.items()}
    if label_of["train"] != label_of["val"]:
        raise Refusal(f"{places.csv_path(root, 'val')}: classes or labels differ from those of the training csv")
    _refuse_missing([image.path for images in splits.values() for image in images], root)
    place = shutil.copyfile if copy else os.symlink
    for split, images in splits.items():
        for name in label_of[split]:
            (target / split / name).mkdir(parents=True)
        for image in track(images, f"{'copying' if copy else 'linking'} {split}"):
            place(image.path, target / split / image.class_name / image.path.name)
    return {split: len(images) for split, images in splits.items()}


def _write_inat(root: Path, target: Path, copy: bool) -> Summary:
    counts: Summary = {}
    for split in inat.SPLITS:
        found = listing.list_images(root, "inat18", split)
        _refuse_missing(found.paths, root)
        _save_lists(target, split, found.paths, np.asarray(found.labels, dtype=np.int64), found.classes)
        counts[split] = len(found.paths)
    return counts


def _write_voc(root: Path, target: Path, copy: bool) -> Summary:
    counts: Summary = {}
    for split, [(year, image_set)] in members.VOC_SPLITS["voc07"].items():
        folder = voc.year_folder(root, year)
        ids, labels = voc.class_labels(folder, image_set)
        if set(ids) != set(voc.image_ids(folder, image_set)):
            raise Refusal(f"{voc.split_path(folder, image_set)} and the class files list different images")
        paths = [voc.image_path(folder, image_id) for image_id in ids]
        _refuse_missing(paths, root)
        _save_lists(target, split, paths, labels, list(voc.CLASSES))
        counts[split] = len(ids)
    return counts


def _save_lists(target: Path, split: str, paths: list[Path], labels: np.ndarray, classes: list[str]) -> None:
    # Plain text arrays: NumPy reads them without unpickling anything.
    np.save(target / f"{split}_images.npy", np.asarray([str(path) for path in paths]), allow_pickle=False)
    np.save(target / f"{split}_labels.npy", labels, allow_pickle=False)
    (target / "classes.json").write_text(json.dumps(classes) + "\n", encoding="utf-8")


def _refuse_missing(paths: list[Path], root: Path) -> None:
    if absent := missing(paths):
        raise Refusal(f"{absent[0]} does not exist ({len(absent):,} of {len(paths):,} images); complete {root}")
