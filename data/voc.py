"""PASCAL VOC as published: image sets, per-class files and XML annotations of one year's folder."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from data import safe_xml
from results.refusal import Refusal

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

PRESENT, ABSENT, IGNORED = 1, 0, -1

# VOC writes 1 (present), 0 (only difficult instances) and -1 (absent); the SVM's trainers read 1, -1 and 0.
_CODING = {1: PRESENT, 0: IGNORED, -1: ABSENT}
_IMAGE_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class VocObject:
    """One annotated object; `box` is (xmin, ymin, xmax, ymax), 1-based and inclusive as VOC writes it."""

    name: str
    difficult: bool
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Annotation:
    """What one XML file says of its image; sizes in pixels."""

    width: int
    height: int
    objects: tuple[VocObject, ...]


def year_folder(root: Path, year: int) -> Path:
    """The folder "VOC2007" or "VOC2012", directly below `root` or below `root`/VOCdevkit as the archives unpack.

    Raises:
        Refusal: neither exists.
    """
    name = f"VOC{year}"
    for candidate in (root / name, root / "VOCdevkit" / name):
        if candidate.is_dir():
            return candidate
    raise Refusal(f"{root / name} does not exist; unpack the {name} archives below {root}")


def image_path(folder: Path, image_id: str) -> Path:
    """The JPEG of an image id below a year's folder."""
    return folder / "JPEGImages" / f"{image_id}.jpg"


def annotation_path(folder: Path, image_id: str) -> Path:
    """The XML of an image id below a year's folder."""
    return folder / "Annotations" / f"{image_id}.xml"


def split_path(folder: Path, split: str, class_name: str = "") -> Path:
    """The image set of a split ("train", "val", "trainval", "test"), or that of one class in it."""
    return folder / "ImageSets" / "Main" / (f"{class_name}_{split}.txt" if class_name else f"{split}.txt")


def image_ids(folder: Path, split: str) -> list[str]:
    """The image ids of a split, in the order of its file.

    Raises:
        Refusal: the file is missing or empty, or a line is not a plain id or stands there twice.
    """
    source = split_path(folder, split)
    ids = [line.strip() for line in _lines(source)]
    for image_id in ids:
        _check_id(image_id, source)
    if not ids:
        raise Refusal(f"{source} lists no images; restore the published file")
    if len(set(ids)) != len(ids):
        raise Refusal(f"{source} lists an image twice; restore the published file")
    return ids


def class_labels(folder: Path, split: str, classes: Sequence[str] = CLASSES) -> tuple[list[str], NDArray[np.int32]]:
    """Image ids in ascending order and their labels (images, classes): 1 present, 0 absent, -1 ignore.

    An image with only difficult instances of a class is -1 there, and so is an image that the class's file leaves out,
    as in VISSL's preparation (extra_scripts/datasets/create_voc_data_files.py).

    Raises:
        Refusal: a class's file is missing, or a line is not "<id> <1|0|-1>".
    """
    rows: dict[str, NDArray[np.int32]] = {}
    for column, name in enumerate(classes):
        source = split_path(folder, split, name)
        for line in _lines(source):
            fields = line.split()
            if len(fields) != 2 or fields[1] not in ("1", "0", "-1"):
                raise Refusal(f'{source}: the line {line[:80]!r} is not "<image> <1, 0 or -1>"; restore the file')
            _check_id(fields[0], source)
            row = rows.setdefault(fields[0], np.full(len(classes), IGNORED, dtype=np.int32))
            row[column] = _CODING[int(fields[1])]
    ids = sorted(rows)
    return ids, np.stack([rows[image_id] for image_id in ids]) if ids else np.zeros((0, len(classes)), np.int32)


def labels_from_objects(objects: Sequence[VocObject]) -> tuple[int, ...]:
    """The label of each class, coded as in `class_labels`, that an image with these objects must have."""
    ordinary = {item.name for item in objects if not item.difficult}
    present = {item.name for item in objects}
    return tuple(PRESENT if name in ordinary else IGNORED if name in present else ABSENT for name in CLASSES)


def read_annotation(path: Path) -> Annotation:
    """What the XML at `path` says.

    Raises:
        Refusal: it is not usable XML, or an element is missing or not a finite number; the message names the file.
    """
    tree = safe_xml.parse(path)
    objects = tuple(_read_object(item, path) for item in tree.findall("object"))
    return Annotation(int(_number(tree, "size/width", path)), int(_number(tree, "size/height", path)), objects)


def _read_object(item: Element, path: Path) -> VocObject:
    xmin, ymin, xmax, ymax = (_number(item, f"bndbox/{side}", path) for side in ("xmin", "ymin", "xmax", "ymax"))
    # VOC2007 and VOC2012 always write <difficult>; other tools leave it out for ordinary objects.
    difficult = item.find("difficult") is not None and _number(item, "difficult", path) != 0
    return VocObject(_text(item, "name", path), difficult, (xmin, ymin, xmax, ymax))


def _text(item: Element, name: str, path: Path) -> str:
    text = (item.findtext(name) or "").strip()
    if not text:
        raise Refusal(f"{path}: <{name}> is missing or empty in <{item.tag}>; restore the published file")
    return text


def _number(item: Element, name: str, path: Path) -> float:
    text = _text(item, name, path)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Refusal(f"{path}: <{name}> is {text[:40]!r}, expected a number")
    return value


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise Refusal(f"{path} cannot be read ({error}); restore the published file") from error


def _check_id(image_id: str, source: Path) -> None:
    if not _IMAGE_ID.fullmatch(image_id):
        raise Refusal(f"{source}: {image_id[:80]!r} is not an image id; restore the published file")
