"""Which files make up each data set."""

from pathlib import Path

import pytest

from data import members
from data.layouts import LAYOUTS

FOLDERS = {"imagenet_1pct": "imagenet", "imagenet_10pct": "imagenet", "voc07": "VOCdevkit", "voc0712": "VOCdevkit"}

# VOC07: two image sets, each with its list and twenty class files. VOC07+12: three lists and one XML per image.
LABEL_FILES = {
    "imagenet": 0, "imagenet_1pct": 1, "imagenet_10pct": 1, "places205": 0, "inat18": 2,
    "voc07": 2 * 21, "voc0712": 3 + 100 + 60 + 60, "coco": 2,
}  # fmt: skip


@pytest.mark.parametrize("dataset", list(LAYOUTS))
def test_every_image_lies_in_a_watched_folder_and_every_label_file_is_there(digits_root: Path, dataset: str) -> None:
    root = digits_root / FOLDERS.get(dataset, dataset)
    watched = set(members.image_folders(root, dataset))
    for paths in members.images(root, dataset).values():
        assert paths
        assert {path.parent for path in paths} <= watched
    labels = members.label_files(root, dataset)
    assert len(set(labels)) == len(labels) == LABEL_FILES[dataset]
    assert all(path.is_file() for path in labels)


def test_the_detection_training_set_is_both_years_and_the_test_set_2007_alone(digits_root: Path) -> None:
    found = members.images(digits_root / "VOCdevkit", "voc0712")
    assert {path.parts[-3] for path in found["train"]} == {"VOC2007", "VOC2012"}
    assert {path.parts[-3] for path in found["val"]} == {"VOC2007"}
