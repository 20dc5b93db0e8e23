"""The user's VOC and COCO folders as Detectron2 data sets, under names of our own and only while they are used.

Detectron2's built-in names ("voc_2007_test") stay as they are: they point to one folder per machine, chosen by an
environment variable, and two runs in one process could not differ. Where a subset is asked for, the run folder gets a
small copy of the lists (never of the images), so that Detectron2's evaluators see exactly the images that were used.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import coco, safe_json, voc
from data.subset import stratified
from results import atomic
from results.refusal import Refusal

# Names differ within a process and agree between the ranks of a run, each of which registers once.
_NUMBERS = itertools.count()

VOC_TRAIN = ((2007, "trainval"), (2012, "trainval"))
VOC_TEST = ((2007, "test"),)


@dataclass(frozen=True)
class VocSplit:
    """One image set of one year's folder, as Detectron2's loader and evaluator want it."""

    folder: Path
    year: int
    split: str


@dataclass(frozen=True)
class CocoSplit:
    """One annotation file with the folder of its images."""

    annotations: Path
    images: Path


Split = VocSplit | CocoSplit


@dataclass(frozen=True)
class Splits:
    """What is trained and what is measured on."""

    train: tuple[Split, ...]
    test: tuple[Split, ...]


def find_splits(dataset: str, root: Path, *, limit: int = 0, seed: int = 0, work: Path) -> Splits:
    """The splits of "voc0712" or "coco" below `root`; with `limit`, lists of about that many images written to `work`.

    Raises:
        Refusal: a folder or list is missing or cannot be read.
    """
    if dataset == "voc0712":
        train, test = (tuple(_voc_split(root, *part) for part in parts) for parts in (VOC_TRAIN, VOC_TEST))
        return Splits(_limit_voc(train, limit, seed, work), _limit_voc(test, limit, seed, work))
    assert dataset == "coco", dataset
    splits = [_coco_split(root, split) for split in ("train", "val")]
    if limit:
        splits = [_limit_coco(split, limit, seed, work) for split in splits]
    return Splits((splits[0],), (splits[1],))


@contextmanager
def registered(splits: Splits) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Make the splits known to Detectron2; yields the names of the training and of the test sets, and forgets them."""
    from detectron2.data import DatasetCatalog, MetadataCatalog

    names: list[str] = []
    try:
        for position, split in enumerate((*splits.train, *splits.test)):
            use = "train" if position < len(splits.train) else "test"
            name = f"vicreg_{use}_{next(_NUMBERS)}"
            _register(name, split)
            names.append(name)
        yield tuple(names[: len(splits.train)]), tuple(names[len(splits.train) :])
    finally:
        for name in names:
            DatasetCatalog.remove(name)
            MetadataCatalog.remove(name)


def load_voc(split: VocSplit) -> list[dict[str, Any]]:
    """The images of `split` as Detectron2's own VOC loader gives them, difficult objects included.

    Its loader stumbles over a list of one image, which a subset may have, and over hostile XML.

    Raises:
        Refusal: an annotation is missing or damaged, or names an unknown class.
    """
    from detectron2.structures import BoxMode

    items = []
    for image_id in voc.image_ids(split.folder, split.split):
        path = voc.annotation_path(split.folder, image_id)
        annotation = voc.read_annotation(path)
        objects = []
        for one in annotation.objects:
            # VOC counts pixels from 1 and includes the last; Detectron2's boxes are edges, from 0.
            box = [one.box[0] - 1, one.box[1] - 1, one.box[2], one.box[3]]
            objects.append({"category_id": _class_index(path, one.name), "bbox": box, "bbox_mode": BoxMode.XYXY_ABS})
        image = str(voc.image_path(split.folder, image_id))
        size = {"height": annotation.height, "width": annotation.width}
        items.append({"file_name": image, "image_id": image_id, **size, "annotations": objects})
    return items


def image_count(split: Split) -> int:
    """How many images a split lists."""
    if isinstance(split, VocSplit):
        return len(voc.image_ids(split.folder, split.split))
    return len(_read_coco(split.annotations)["images"])


def _register(name: str, split: Split) -> None:
    from detectron2.data import DatasetCatalog, MetadataCatalog
    from detectron2.data.datasets import load_coco_json

    if isinstance(split, VocSplit):
        DatasetCatalog.register(name, lambda: load_voc(split))
        # What Detectron2's VOC evaluator asks for; 2007 is the year of its 11-point metric.
        MetadataCatalog.get(name).set(
            thing_classes=list(voc.CLASSES), dirname=str(split.folder), year=split.year, split=split.split
        )
        return
    annotations, images = str(split.annotations), str(split.images)
    DatasetCatalog.register(name, lambda: load_coco_json(annotations, images, name))
    MetadataCatalog.get(name).set(json_file=annotations, image_root=images)


def _voc_split(root: Path, year: int, split: str) -> VocSplit:
    found = VocSplit(voc.year_folder(root, year), year, split)
    voc.image_ids(found.folder, split)
    return found


def _coco_split(root: Path, name: str) -> CocoSplit:
    split = CocoSplit(coco.json_path(root, name), coco.image_folder(root, name))
    for path in (split.annotations, split.images):
        if not path.exists():
            raise Refusal(f"{path} does not exist; give the folder that holds train2017, val2017 and annotations")
    return split


def _limit_voc(splits: tuple[VocSplit, ...], limit: int, seed: int, work: Path) -> tuple[VocSplit, ...]:
    """About `limit` images of all `splits` together, stratified by the class of each image's first object."""
    if not limit:
        return splits
    listed = [(split, image_id) for split in splits for image_id in voc.image_ids(split.folder, split.split)]
    chosen = stratified([_voc_label(split.folder, image_id) for split, image_id in listed], limit, seed)
    kept = [listed[index] for index in chosen]
    views = [_voc_view(split, [image_id for owner, image_id in kept if owner == split], work) for split in splits]
    return tuple(view for view in views if view is not None)


def _voc_label(folder: Path, image_id: str) -> int:
    path = voc.annotation_path(folder, image_id)
    objects = voc.read_annotation(path).objects
    return _class_index(path, objects[0].name) if objects else -1


def _class_index(annotation: Path, name: str) -> int:
    if name not in voc.CLASSES:
        raise Refusal(f"{annotation}: {name!r} is not one of VOC's 20 classes; restore the published file")
    return voc.CLASSES.index(name)


def _voc_view(split: VocSplit, image_ids: list[str], work: Path) -> VocSplit | None:
    """A year's folder that shares the images and annotations of the user's and has its own list."""
    if not image_ids:
        return None
    folder = work / split.folder.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Annotations", "JPEGImages"):
        _link(folder / name, (split.folder / name).resolve())
    atomic.write_text(voc.split_path(folder, split.split), "".join(f"{image_id}\n" for image_id in image_ids))
    return VocSplit(folder, split.year, split.split)


def _link(link: Path, target: Path) -> None:
    """Let `link` point to `target`: it may be there from an earlier session, when the data lay elsewhere."""
    if link.is_symlink() and link.readlink() != target:
        link.unlink(missing_ok=True)
    with suppress(FileExistsError):  # of an earlier session, or of another machine's process
        link.symlink_to(target, target_is_directory=True)


def _limit_coco(split: CocoSplit, limit: int, seed: int, work: Path) -> CocoSplit:
    """About `limit` images, stratified by the category of each image's first annotation."""
    content = _read_coco(split.annotations)
    label = {item["image_id"]: int(item["category_id"]) for item in reversed(content["annotations"])}
    images = content["images"]
    kept = [images[index] for index in stratified([label.get(image["id"], 0) for image in images], limit, seed)]
    ids = {image["id"] for image in kept}
    annotations = [item for item in content["annotations"] if item["image_id"] in ids]
    path = work / split.annotations.name
    atomic.write_text(path, json.dumps({**content, "images": kept, "annotations": annotations}))
    return CocoSplit(path, split.images)


def _read_coco(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = safe_json.read_object(path)
    return content
