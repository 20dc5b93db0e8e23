"""The engines' own readers, on the corpus and on what preparation writes: they see what we say is there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import coco, prepare, voc
from data.listing import list_images

# The engines' imports take seconds and warn of their own age.
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]


def test_vissl_codes_voc_s_class_files_as_we_do(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs: Any = pytest.importorskip("vissl.data.datasets.pascal_voc")
    monkeypatch.chdir(tmp_path)
    prepare.prepare("voc07", digits_root / "VOCdevkit", tmp_path / "ours")
    for split in ("train", "val"):
        images, labels = theirs.get_voc_images_labels_info(split, str(digits_root / "VOCdevkit" / "VOC2007"))
        assert np.load(images).tolist() == np.load(tmp_path / "ours" / f"{split}_images.npy").tolist()
        assert np.array_equal(np.load(labels), np.load(tmp_path / "ours" / f"{split}_labels.npy"))


def test_vissl_loads_the_prepared_lists_and_folders(digits_root: Path, tmp_path: Path) -> None:
    io: Any = pytest.importorskip("vissl.utils.io")
    prepare.prepare("inat18", digits_root / "inat18", tmp_path / "inat")
    ours = list_images(digits_root / "inat18", "inat18", "val")
    assert list(io.load_file(str(tmp_path / "inat" / "val_images.npy"))) == [str(path) for path in ours.paths]
    assert io.load_file(str(tmp_path / "inat" / "val_labels.npy")).tolist() == ours.labels


@pytest.mark.parametrize(("year", "split"), [(2007, "trainval"), (2007, "test"), (2012, "trainval")])
def test_detectron2_reads_the_scenes(digits_root: Path, year: int, split: str) -> None:
    theirs: Any = pytest.importorskip("detectron2.data.datasets.pascal_voc")
    folder = voc.year_folder(digits_root / "VOCdevkit", year)
    for item in theirs.load_voc_instances(str(folder), split, theirs.CLASS_NAMES):
        ours = voc.read_annotation(voc.annotation_path(folder, item["image_id"]))
        assert (item["width"], item["height"]) == (ours.width, ours.height)
        assert [voc.CLASSES[box["category_id"]] for box in item["annotations"]] == [o.name for o in ours.objects]
        for box, thing in zip(item["annotations"], ours.objects, strict=True):
            assert box["bbox"] == [thing.box[0] - 1, thing.box[1] - 1, thing.box[2], thing.box[3]]


@pytest.mark.parametrize("split", ["train", "val"])
def test_detectron2_reads_the_instances(digits_root: Path, split: str) -> None:
    theirs: Any = pytest.importorskip("detectron2.data.datasets.coco")
    root = digits_root / "coco"
    items = theirs.load_coco_json(str(coco.json_path(root, split)), str(coco.image_folder(root, split)), "coco_digits")
    assert sorted(item["file_name"] for item in items) == sorted(map(str, coco.image_paths(root, split)))
    assert {box["category_id"] for item in items for box in item["annotations"]} == set(range(10))
