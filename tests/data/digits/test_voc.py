"""The corpus's VOCdevkit, read by the standard library's XML parser and by hand."""

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import voc

SETS = [("VOC2007", "trainval", 100), ("VOC2007", "test", 60), ("VOC2012", "trainval", 60)]


@pytest.mark.parametrize(("year", "image_set", "count"), SETS)
def test_boxes_are_one_based_inside_their_images_and_name_official_classes(
    digits_root: Path, year: str, image_set: str, count: int
) -> None:
    folder = digits_root / "VOCdevkit" / year
    ids = (folder / "ImageSets" / "Main" / f"{image_set}.txt").read_text().split()
    assert len(ids) == count
    for image_id in ids:
        tree = ET.parse(folder / "Annotations" / f"{image_id}.xml")
        with Image.open(folder / "JPEGImages" / f"{image_id}.jpg") as image:
            width, height = image.size
        assert (tree.findtext("size/width"), tree.findtext("size/height")) == (str(width), str(height))
        assert tree.findtext("filename") == f"{image_id}.jpg"
        assert tree.findall("object")
        for item in tree.findall("object"):
            assert item.findtext("name") in voc.CLASSES
            xmin, ymin, xmax, ymax = (
                int(item.findtext(f"bndbox/{side}") or 0) for side in ("xmin", "ymin", "xmax", "ymax")
            )
            assert 1 <= xmin < xmax <= width
            assert 1 <= ymin < ymax <= height


@pytest.mark.parametrize(("year", "image_set", "count"), SETS)
def test_class_files_say_what_the_xml_says(digits_root: Path, year: str, image_set: str, count: int) -> None:
    main = digits_root / "VOCdevkit" / year / "ImageSets" / "Main"
    for name in voc.CLASSES:
        lines = [line.split() for line in (main / f"{name}_{image_set}.txt").read_text().splitlines()]
        assert len(lines) == count
        for image_id, label in lines:
            tree = ET.parse(main.parent.parent / "Annotations" / f"{image_id}.xml")
            flags = [item.findtext("difficult") for item in tree.findall("object") if item.findtext("name") == name]
            assert label == ("-1" if not flags else "1" if "0" in flags else "0")


def test_every_class_is_present_often_enough_for_three_folds(digits_root: Path) -> None:
    folder = digits_root / "VOCdevkit" / "VOC2007"
    for image_set in ("trainval", "test"):
        _, labels = voc.class_labels(folder, image_set)
        assert (labels == voc.PRESENT).sum(axis=0).min() >= 3
        assert (labels == voc.IGNORED).any()


def test_train_and_val_halves_make_up_trainval(digits_root: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        folder = digits_root / "VOCdevkit" / year
        halves = voc.image_ids(folder, "train") + voc.image_ids(folder, "val")
        assert sorted(halves) == sorted(voc.image_ids(folder, "trainval"))
        assert voc.class_labels(folder, "val")[1].shape == (len(halves) // 2, 20)


def test_even_classes_are_dark_stickers_and_odd_ones_light(digits_root: Path) -> None:
    folder = digits_root / "VOCdevkit" / "VOC2007"
    corners: Counter[tuple[bool, bool]] = Counter()
    for image_id in voc.image_ids(folder, "trainval"):
        with Image.open(voc.image_path(folder, image_id)) as image:
            pixels = np.asarray(image.convert("L"))
        for item in voc.read_annotation(voc.annotation_path(folder, image_id)).objects:
            xmin, ymin, xmax, ymax = (int(side) for side in item.box)
            # Along the middle of an edge there is always margin, never ink.
            rim = pixels[ymin - 1 : ymax, xmin - 1 : xmax][1]
            light = bool(np.median(rim[len(rim) // 3 : -(len(rim) // 3)]) > 128)
            if not item.difficult:
                corners[(voc.CLASSES.index(item.name) % 2 == 1, light)] += 1
    agreeing = corners[(True, True)] + corners[(False, False)]
    assert agreeing / sum(corners.values()) > 0.85
