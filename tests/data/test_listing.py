"""Images and labels of the folder data sets and iNat18."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from data.layouts import layout_of
from data.listing import class_folders, list_images, read_label_list
from results.refusal import Refusal

Copy = Callable[..., Path]


def tree(root: Path, **classes: int) -> Path:
    """An ImageNet-style tree with so many (empty) images per class in both splits."""
    for split in ("train", "val"):
        for name, count in classes.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                (root / split / name / f"{name}_{number}.JPEG").touch()
    return root


def test_labels_are_positions_in_the_sorted_classes(tmp_path: Path) -> None:
    found = list_images(tree(tmp_path, n02=2, n01=1, n10=1), "imagenet", "val")
    assert found.classes == ["n01", "n02", "n10"]
    assert [(path.parent.name, path.name) for path in found.paths] == [
        ("n01", "n01_0.JPEG"), ("n02", "n02_0.JPEG"), ("n02", "n02_1.JPEG"), ("n10", "n10_0.JPEG"),
    ]  # fmt: skip
    assert found.labels == [0, 1, 1, 2]


def test_hidden_files_folders_and_other_files_are_no_images(tmp_path: Path) -> None:
    root = tree(tmp_path, n01=1)
    (root / "train" / ".cache").mkdir()
    for name in (".hidden.jpg", "._n01_0.JPEG", "readme.txt", "Thumbs.db"):
        (root / "train" / "n01" / name).touch()
    (root / "train" / "n01" / "upper.JPG").touch()
    assert [path.name for path in list_images(root, "imagenet", "train").paths] == ["n01_0.JPEG", "upper.JPG"]


def test_what_torchvision_lists_is_what_we_list(digits_root: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    for split in ("train", "val"):
        theirs = datasets.ImageFolder(str(digits_root / "places205" / split))
        ours = list_images(digits_root / "places205", "places205", split)
        assert ours.classes == theirs.classes
        assert [(str(path), label) for path, label in zip(ours.paths, ours.labels, strict=True)] == theirs.samples


@pytest.mark.parametrize(("lacking", "has"), [("val", "train"), ("train", "val")])
def test_a_class_that_one_split_lacks_is_named(tmp_path: Path, lacking: str, has: str) -> None:
    root = tree(tmp_path, n01=1, n02=1)
    (root / has / "n03").mkdir()
    with pytest.raises(Refusal, match=rf"{lacking} lacks the class 'n03'"):
        list_images(root, "imagenet", "train")


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path, n01=1, n02=0)
    with pytest.raises(Refusal, match=r"n02 has no images"):
        list_images(root, "imagenet", "val")


def test_a_missing_split_and_a_split_without_classes_are_named(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="train does not exist"):
        list_images(tmp_path, "imagenet", "train")
    (tmp_path / "train").mkdir()
    with pytest.raises(Refusal, match="no class folders"):
        class_folders(tmp_path, "train")


@pytest.mark.parametrize("dataset", ["voc07", "voc0712", "coco"])
def test_data_with_several_labels_per_image_is_refused(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(Refusal, match="several labels per image"):
        list_images(tmp_path, dataset, "train")


def test_a_limit_takes_a_stratified_part_with_unchanged_labels(digits_root: Path) -> None:
    whole = list_images(digits_root / "imagenet", "imagenet", "train")
    part = list_images(digits_root / "imagenet", "imagenet", "train", limit=200, seed=1)
    assert len(part.paths) == 200
    assert part.classes == whole.classes
    label_of = dict(zip(whole.paths, whole.labels, strict=True))
    assert [label_of[path] for path in part.paths] == part.labels
    assert min(Counter(part.labels).values()) >= 19
    assert part == list_images(digits_root / "imagenet", "imagenet", "train", limit=200, seed=1)


@pytest.mark.parametrize(("dataset", "per_class"), [("imagenet_1pct", {2}), ("imagenet_10pct", {14, 15})])
def test_a_label_list_chooses_training_images_and_leaves_val_whole(
    digits_root: Path, dataset: str, per_class: set[int]
) -> None:
    root = digits_root / "imagenet"
    train, val = list_images(root, dataset, "train"), list_images(root, dataset, "val")
    assert len(val.paths) == 360
    assert set(Counter(train.labels).values()) <= per_class
    listed = (root / layout_of(dataset).list_file).read_text().split()
    assert sorted(path.name for path in train.paths) == sorted(listed)
    assert all(path.is_file() for path in train.paths)


def test_the_small_list_lies_within_the_large_one(digits_root: Path) -> None:
    small, large = (
        {path.name for path in list_images(digits_root / "imagenet", name, "train").paths}
        for name in ("imagenet_1pct", "imagenet_10pct")
    )
    assert small < large


def test_outside_the_digits_only_the_published_list_is_accepted(tmp_path: Path) -> None:
    root = tree(tmp_path, n01=3)
    (root / "1percent.txt").write_text("n01_0.JPEG\n")
    with pytest.raises(Refusal, match="not the published list"):
        list_images(root, "imagenet_1pct", "train")
    (root / "1percent.txt").unlink()
    with pytest.raises(Refusal, match=r"1percent\.txt cannot be read; `python -m data lists --root"):
        list_images(root, "imagenet_1pct", "train")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../../etc/passwd_1.JPEG", "is not <class>_<number>.JPEG"),
        ("digit1.JPEG", "is not <class>_<number>.JPEG"),
        ("digit9_0.JPEG digit9_0.JPEG", "lists an image twice"),
        ("digit1_99999.JPEG", "does not exist, but"),
        ("cat_1.JPEG", "does not exist, but"),
        ("", "is empty"),
    ],
)
def test_a_broken_label_list_is_refused(copy_digits: Copy, line: str, message: str) -> None:
    root = copy_digits("imagenet") / "imagenet"
    (root / "1percent.txt").write_text(line + "\n")
    with pytest.raises(Refusal, match=message):
        list_images(root, "imagenet_1pct", "train")


def test_bytes_that_are_no_text_in_a_label_list_are_refused(copy_digits: Copy) -> None:
    root = copy_digits("imagenet") / "imagenet"
    (root / "1percent.txt").write_bytes(os.urandom(64) + b"\xff")
    with pytest.raises(Refusal, match=r"1percent\.txt"):
        list_images(root, "imagenet_1pct", "train")
    assert read_label_list(root, layout_of("imagenet_10pct"))


def test_inat_labels_are_category_positions_in_both_splits(digits_root: Path) -> None:
    for split in ("train", "val"):
        found = list_images(digits_root / "inat18", "inat18", split)
        assert found.classes == [str(category) for category in range(10)]
        # The folder of an image is its category id.
        assert [int(path.parent.name) for path in found.paths] == found.labels
