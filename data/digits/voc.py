"""The corpus's VOCdevkit: scenes with XML, image sets and per-class files, all twenty official class names in use.

Class 2k of the sorted official names is the digit k in white on a dark sticker, class 2k + 1 the digit k in dark on a
light one, so every class occurs in every split and the engines' own class lists fit.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.random import Generator
from PIL import Image

from data import voc
from data.digits.folders import write
from data.digits.scenes import OBJECTS_PER_SCENE, Placed, background, deal, paste, place
from data.digits.source import Digits, jpeg

SCENES = {"VOC2007 trainval": 100, "VOC2007 test": 60, "VOC2012 trainval": 60}
DIFFICULT_SHARE = 0.12


def write_voc(root: Path, digits: Digits, photos: list[Image.Image], seed: int) -> dict[str, dict[str, int]]:
    """Write VOC2007 (trainval, test) and VOC2012 (trainval) below `root`; return images by data set and split."""
    trainval, test, later = SCENES.values()
    ids_2007 = [f"{number:06d}" for number in range(1, trainval + test + 1)]
    ids_2012 = [f"2012_{number:06d}" for number in range(1, later + 1)]
    for name, split, ids, stream in (
        ("VOC2007/trainval", "train", ids_2007[:trainval], 10),
        ("VOC2007/test", "val", ids_2007[trainval:], 11),
        ("VOC2012/trainval", "train", ids_2012, 12),
    ):
        year, image_set = name.split("/")
        objects = _write_scenes(root / year, digits, photos, split, ids, np.random.default_rng([seed, stream]))
        halves = {"train": ids[: len(ids) // 2], "val": ids[len(ids) // 2 :]} if image_set == "trainval" else {}
        for set_name, members in {image_set: ids, **halves}.items():
            _write_image_sets(root / year, set_name, members, objects)
    return {"voc07": {"train": trainval, "val": test}, "voc0712": {"train": trainval + later, "val": test}}


def class_name(kind: int) -> str:
    """The official name that a kind of sticker stands for; see the module's head."""
    return voc.CLASSES[2 * (kind % 10) + kind // 10]


def _write_scenes(
    folder: Path, digits: Digits, photos: list[Image.Image], split: str, ids: list[str], random: Generator
) -> dict[str, list[Placed]]:
    """Write image and XML of each id; return what each shows."""
    dealt = deal(digits, split, 20, random)
    shown: dict[str, list[Placed]] = {}
    for number, image_id in enumerate(ids):
        scene = background(photos[number % len(photos)], split, random)
        shown[image_id] = _objects(digits, dealt, scene.size, random)
        write(voc.image_path(folder, image_id), jpeg(paste(scene, shown[image_id])))
        write(voc.annotation_path(folder, image_id), _xml(folder.name, image_id, scene.size, shown[image_id]).encode())
    return shown


def _objects(
    digits: Digits, dealt: Iterator[tuple[int, int]], size: tuple[int, int], random: Generator
) -> list[Placed]:
    objects: list[Placed] = []
    for _ in range(int(random.integers(OBJECTS_PER_SCENE[0], OBJECTS_PER_SCENE[1] + 1))):
        faint = bool(random.random() < DIFFICULT_SHARE)
        placed = place(digits, next(dealt), objects, (0, 0, *size), random, faint=faint)
        if placed is not None:
            objects.append(placed)
    return objects


def _write_image_sets(folder: Path, image_set: str, ids: list[str], objects: dict[str, list[Placed]]) -> None:
    write(voc.split_path(folder, image_set), "".join(f"{image_id}\n" for image_id in ids).encode())
    for kind in range(20):
        lines = []
        for image_id in ids:
            difficult = [item.faint for item in objects[image_id] if item.kind == kind]
            # VOC's coding: 1 present, 0 only difficult ones, -1 absent.
            lines.append(f"{image_id} {-1 if not difficult else 0 if all(difficult) else 1:2d}\n")
        write(voc.split_path(folder, image_set, class_name(kind)), "".join(lines).encode())


def _xml(year: str, image_id: str, size: tuple[int, int], objects: list[Placed]) -> str:
    parts = [
        _OBJECT.format(name=escape(class_name(item.kind)), difficult=int(item.faint), box=_box(item))
        for item in objects
    ]
    return _ANNOTATION.format(year=year, image=image_id, width=size[0], height=size[1], objects="".join(parts))


def _box(item: Placed) -> str:
    x0, y0, x1, y1 = item.box
    # VOC counts pixels from 1 and includes the last one.
    sides = {"xmin": x0 + 1, "ymin": y0 + 1, "xmax": x1, "ymax": y1}
    return "".join(f"\n\t\t\t<{name}>{value}</{name}>" for name, value in sides.items())


_OBJECT = """
\t<object>
\t\t<name>{name}</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>0</truncated>
\t\t<difficult>{difficult}</difficult>
\t\t<bndbox>{box}
\t\t</bndbox>
\t</object>"""

_ANNOTATION = """<annotation>
\t<folder>{year}</folder>
\t<filename>{image}.jpg</filename>
\t<source>
\t\t<database>scikit-learn digits and photographs</database>
\t</source>
\t<size>
\t\t<width>{width}</width>
\t\t<height>{height}</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>{objects}
</annotation>
"""
