"""The corpus's COCO tree, read by COCO's own code."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from data.digits import coco as digits_coco

# pycocotools' compiled code has not followed NumPy's new protocol for copies.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def load(root: Path, split: str) -> COCO:
    return COCO(str(root / "coco" / "annotations" / f"instances_{split}2017.json"))


@pytest.mark.parametrize(("split", "count"), [("train", 120), ("val", 50)])
def test_cocos_own_code_reads_boxes_and_masks_that_fit_each_other(digits_root: Path, split: str, count: int) -> None:
    found = load(digits_root, split)
    assert len(found.imgs) == count
    assert len(found.cats) == 80
    for item in found.loadAnns(found.getAnnIds()):
        mask = found.annToMask(item).astype(bool)
        image = found.imgs[item["image_id"]]
        assert mask.shape == (image["height"], image["width"])
        rows, columns = np.nonzero(mask)
        x, y, width, height = item["bbox"]
        box = [columns.min(), rows.min(), columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()]
        assert np.abs(np.subtract(box, [x, y, width, height])).max() <= 1
        assert abs(mask.sum() - item["area"]) <= 0.06 * item["area"]
        assert x >= 0
        assert y >= 0
        assert x + width <= image["width"]
        assert y + height <= image["height"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_there_are_crowds_empty_scenes_and_all_ten_categories(digits_root: Path, split: str) -> None:
    found = load(digits_root, split)
    crowds = found.loadAnns(found.getAnnIds(iscrowd=True))
    assert len(crowds) >= 3
    assert all(set(item["segmentation"]) == {"counts", "size"} for item in crowds)
    assert [image for image in found.getImgIds() if not found.getAnnIds([image])]
    assert {item["category_id"] for item in found.loadAnns(found.getAnnIds(iscrowd=False))} == set(range(1, 11))


def test_the_sizes_in_the_json_are_the_images_own(digits_root: Path) -> None:
    for item in load(digits_root, "val").imgs.values():
        with Image.open(digits_root / "coco" / "val2017" / item["file_name"]) as image:
            assert image.size == (item["width"], item["height"])


@pytest.mark.parametrize(
    ("region", "counts"),
    [
        # Columns are read one after the other; the first run is of zeros.
        ([[0, 1], [0, 1]], [2, 2]),
        ([[1, 0], [1, 0]], [0, 2, 2]),
        ([[0, 0], [1, 0]], [1, 1, 2]),
        ([[0, 0], [0, 0]], [4]),
        ([[1, 1], [1, 1]], [0, 4]),
    ],
)
def test_run_lengths_go_down_the_columns(region: list[list[int]], counts: list[int]) -> None:
    assert digits_coco._run_lengths(np.array(region, dtype=bool)) == counts
