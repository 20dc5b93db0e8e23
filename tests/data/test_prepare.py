"""Preparation: what the engines read, from what the archives hold."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data import corpus, places, prepare, voc
from data.listing import list_images
from results.refusal import Refusal

Copy = Callable[..., Path]
RAW = {"places205": "places205_raw", "inat18": "inat18", "voc07": "VOCdevkit"}


@pytest.mark.parametrize("copy", [False, True])
def test_places_becomes_class_folders_of_links_or_copies(digits_root: Path, tmp_path: Path, copy: bool) -> None:
    output = tmp_path / "places"
    counts, written = prepare.prepare("places205", digits_root / "places205_raw", output, copy=copy)
    assert (counts, written) == ({"train": 720, "val": 360}, True)
    for split in ("train", "val"):
        ours = list_images(output, "places205", split)
        reference = list_images(digits_root / "places205", "places205", split)
        assert [path.relative_to(output) for path in ours.paths] == [
            path.relative_to(digits_root / "places205") for path in reference.paths
        ]
        assert ours.labels == reference.labels
        assert all(path.is_symlink() != copy for path in ours.paths)
        assert ours.paths[7].read_bytes() == reference.paths[7].read_bytes()


def test_prepared_digits_stay_known_as_digits_with_the_same_fingerprint(digits_root: Path, tmp_path: Path) -> None:
    prepare.prepare("places205", digits_root / "places205_raw", tmp_path / "places")
    found = corpus.identify(tmp_path / "places", "places205")
    assert found == corpus.identify(digits_root / "places205", "places205")
    assert found.corpus == "digits"


def test_inat_becomes_lists_whose_labels_are_the_category_folders(digits_root: Path, tmp_path: Path) -> None:
    prepare.prepare("inat18", digits_root / "inat18", tmp_path / "inat")
    for split, count in (("train", 720), ("val", 360)):
        images = np.load(tmp_path / "inat" / f"{split}_images.npy", allow_pickle=False)
        labels = np.load(tmp_path / "inat" / f"{split}_labels.npy", allow_pickle=False)
        assert (len(images), labels.dtype) == (count, np.int64)
        assert [int(Path(path).parent.name) for path in images] == labels.tolist()
        assert all(Path(path).is_absolute() for path in images)
        assert Path(images[0]).is_file()
    assert json.loads((tmp_path / "inat" / "classes.json").read_text()) == [str(label) for label in range(10)]


def test_voc_becomes_a_label_matrix_in_the_svms_coding(digits_root: Path, tmp_path: Path) -> None:
    prepare.prepare("voc07", digits_root / "VOCdevkit", tmp_path / "voc")
    for split, image_set, count in (("train", "trainval", 100), ("val", "test", 60)):
        images = np.load(tmp_path / "voc" / f"{split}_images.npy", allow_pickle=False)
        labels = np.load(tmp_path / "voc" / f"{split}_labels.npy", allow_pickle=False)
        assert (labels.shape, labels.dtype) == ((count, 20), np.int32)
        main = digits_root / "VOCdevkit" / "VOC2007" / "ImageSets" / "Main"
        for column, name in enumerate(voc.CLASSES):
            lines = dict(line.split() for line in (main / f"{name}_{image_set}.txt").read_text().splitlines())
            expected = [{"1": 1, "0": -1, "-1": 0}[lines[Path(path).stem]] for path in images]
            assert labels[:, column].tolist() == expected


@pytest.mark.parametrize("dataset", list(RAW))
def test_nothing_is_done_twice_and_the_source_stays_as_it_is(digits_root: Path, tmp_path: Path, dataset: str) -> None:
    raw = digits_root / RAW[dataset]
    before = {path: path.stat().st_mtime_ns for path in raw.rglob("*")}
    first = prepare.prepare(dataset, raw, tmp_path / "out")
    assert first[1]
    assert prepare.prepare(dataset, raw, tmp_path / "out") == (first[0], False)
    assert {path: path.stat().st_mtime_ns for path in raw.rglob("*")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("dataset", list(RAW))
def test_an_image_that_is_missing_is_named_and_nothing_is_left_behind(
    copy_digits: Copy, tmp_path: Path, dataset: str
) -> None:
    root = copy_digits(RAW[dataset])
    victim = {
        "places205": "places205_raw/data/vision/torralba/deeplearning/images256/d/dam",
        "inat18": "inat18/train_val2018/Aves/8",
        "voc07": "VOCdevkit/VOC2007/JPEGImages",
    }[dataset]
    sorted((root / victim).iterdir())[0].unlink()
    with pytest.raises(Refusal, match=r"does not exist \(1 of"):
        prepare.prepare(dataset, root / RAW[dataset], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits"]


def test_a_class_that_val_lacks_is_refused(copy_digits: Copy, tmp_path: Path) -> None:
    raw = copy_digits("places205_raw") / "places205_raw"
    path = places.csv_path(raw, "val")
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "/dam/" not in line))
    with pytest.raises(Refusal, match="classes or labels differ"):
        prepare.prepare("places205", raw, tmp_path / "out")


def test_an_output_with_something_else_is_refused_and_left_alone(digits_root: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(Refusal, match="holds something else"):
        prepare.prepare("inat18", digits_root / "inat18", tmp_path)
    prepare.prepare("inat18", digits_root / "inat18", tmp_path / "out")
    with pytest.raises(Refusal, match="holds something else"):
        prepare.prepare("voc07", digits_root / "VOCdevkit", tmp_path / "out")
    assert (tmp_path / "thesis.txt").exists()


def test_what_a_killed_preparation_left_is_cleared(digits_root: Path, tmp_path: Path) -> None:
    (tmp_path / ".out.partial" / "train").mkdir(parents=True)
    prepare.prepare("inat18", digits_root / "inat18", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out" / "train").exists()


def test_a_disk_that_is_full_leaves_nothing(digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(Refusal, match="No space left on device; free space"):
        prepare.prepare("places205", digits_root / "places205_raw", tmp_path / "out", copy=True)
    assert list(tmp_path.iterdir()) == []


def test_a_second_preparation_at_the_same_time_is_refused(digits_root: Path, tmp_path: Path) -> None:
    with prepare._alone_below(tmp_path), pytest.raises(Refusal, match="another preparation is writing"):
        prepare.prepare("inat18", digits_root / "inat18", tmp_path / "out")


@pytest.mark.parametrize(("dataset", "copy"), [("coco", False), ("imagenet", False), ("voc07", True), ("inat18", True)])
def test_what_needs_no_preparation_is_refused(tmp_path: Path, dataset: str, copy: bool) -> None:
    with pytest.raises(Refusal, match=r"read as published|nothing to copy"):
        prepare.prepare(dataset, tmp_path, tmp_path / "out", copy=copy)
