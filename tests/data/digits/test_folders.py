"""The corpus's folder trees, as their official readers expect them."""

import json
from collections import Counter
from pathlib import Path

from data import places
from data.digits.folders import PLACES_CLASSES, SUPER_CATEGORIES


def test_no_image_is_in_both_splits(digits_root: Path) -> None:
    for tree in ("imagenet", "places205"):
        names = [{path.name for path in (digits_root / tree / split).glob("*/*")} for split in ("train", "val")]
        assert not names[0] & names[1]


def test_list_lines_have_simclr_s_format(digits_root: Path) -> None:
    for name in ("1percent.txt", "10percent.txt"):
        text = (digits_root / "imagenet" / name).read_text()
        assert text.endswith("\n")
        for line in text.splitlines():
            class_name, number = line.removesuffix(".JPEG").split("_")
            assert (digits_root / "imagenet" / "train" / class_name / f"{class_name}_{number}.JPEG").is_file()


def test_the_raw_places_tree_holds_the_same_images_below_letters(digits_root: Path) -> None:
    for split in places.SPLITS:
        raw = places.read_split(digits_root / "places205_raw", split)
        flat = sorted((digits_root / "places205" / split).glob("*/*.jpg"))
        assert sorted((image.class_name, image.path.name) for image in raw) == [
            (path.parent.name, path.name) for path in flat
        ]
        for image in raw[:20]:
            assert (
                image.path.read_bytes()
                == (digits_root / "places205" / split / image.class_name / image.path.name).read_bytes()
            )


def test_places_has_a_class_on_a_second_level_and_labels_in_alphabetical_order(digits_root: Path) -> None:
    raw = places.read_split(digits_root / "places205_raw", "val")
    assert "apartment_building-outdoor" in {image.class_name for image in raw}
    assert list(PLACES_CLASSES) == sorted(PLACES_CLASSES)
    assert {image.label for image in raw} == set(range(10))


def test_inat_files_lie_below_super_category_and_category(digits_root: Path) -> None:
    root = digits_root / "inat18"
    for split in ("train", "val"):
        content = json.loads((root / f"{split}2018.json").read_text())
        assert {"info", "images", "annotations", "categories", "licenses"} <= set(content)
        category_of = {item["image_id"]: item["category_id"] for item in content["annotations"]}
        for item in content["images"]:
            top, super_category, category, _ = item["file_name"].split("/")
            assert top == "train_val2018"
            assert SUPER_CATEGORIES[int(category)] == super_category
            assert int(category) == category_of[item["id"]]
            assert (root / item["file_name"]).is_file()


def test_every_class_has_enough_images_for_a_probe(digits_root: Path) -> None:
    for split, least in (("train", 60), ("val", 30)):
        counts = Counter(path.parent.name for path in (digits_root / "places205" / split).glob("*/*.jpg"))
        assert len(counts) == 10
        assert min(counts.values()) >= least
