"""The fingerprint: what changes it, what does not, and its cache."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from data import fingerprint, members
from results.refusal import Refusal

Copy = Callable[..., Path]


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tiny(root: Path) -> Path:
    for name in ("train/a/1.jpg", "train/a/2.jpg", "val/a/3.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"12345")
    return root


def test_the_digest_is_that_of_the_sorted_paths_and_sizes(tmp_path: Path) -> None:
    expected = hashlib.sha256(b"train/a/1.jpg\x005\ntrain/a/2.jpg\x005\nval/a/3.jpg\x005").hexdigest()
    found = fingerprint.compute(tiny(tmp_path / "data"), "imagenet")
    assert found == fingerprint.Fingerprint(expected, {"train": 2, "val": 1})


def test_it_is_the_same_wherever_the_data_is_and_through_links(tmp_path: Path) -> None:
    first = fingerprint.compute(tiny(tmp_path / "here"), "imagenet")
    assert fingerprint.compute(tiny(tmp_path / "there"), "imagenet") == first
    (tmp_path / "link").symlink_to(tmp_path / "here")
    assert fingerprint.compute(tmp_path / "link", "imagenet") == first


@pytest.mark.parametrize("change", ["rename", "add", "remove", "resize"])
def test_any_change_of_the_images_changes_it(tmp_path: Path, change: str) -> None:
    root = tiny(tmp_path / "data")
    before = fingerprint.compute(root, "imagenet")
    image = root / "train" / "a" / "1.jpg"
    if change == "rename":
        image.rename(image.with_name("0.jpg"))
    elif change == "add":
        (root / "train" / "a" / "9.jpg").touch()
    elif change == "remove":
        image.unlink()
    else:
        image.write_bytes(b"123456")
    assert fingerprint.compute(root, "imagenet").digest != before.digest


LABEL_FILES = {
    "imagenet_1pct": ("imagenet", "1percent.txt"),
    "inat18": ("inat18", "val2018.json"),
    "voc07": ("VOCdevkit", "VOC2007/ImageSets/Main/dog_test.txt"),
    "voc0712": ("VOCdevkit", "VOC2012/ImageSets/Main/trainval.txt"),
    "coco": ("coco", "annotations/instances_train2017.json"),
}


@pytest.mark.parametrize("dataset", LABEL_FILES)
def test_a_changed_label_changes_it_though_every_size_stays(copy_digits: Copy, dataset: str) -> None:
    tree, name = LABEL_FILES[dataset]
    root = copy_digits(tree) / tree
    before = fingerprint.compute(root, dataset)
    path = root / name
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    # One line of JSON gets another white space, the others two lines in the other order.
    path.write_text("".join([lines[1], lines[0], *lines[2:]]) if len(lines) > 1 else text.replace(", ", " ,", 1))
    assert path.stat().st_size == len(text)
    assert fingerprint.compute(root, dataset).digest != before.digest


def test_a_moved_box_changes_it(copy_digits: Copy) -> None:
    root = copy_digits("VOCdevkit") / "VOCdevkit"
    before = fingerprint.compute(root, "voc0712")
    path = root / "VOC2012" / "Annotations" / "2012_000001.xml"
    path.write_text(path.read_text().replace("<difficult>0", "<difficult>1", 1))
    assert fingerprint.compute(root, "voc0712").digest != before.digest


def test_a_missing_image_or_label_file_is_named(copy_digits: Copy) -> None:
    root = copy_digits("VOCdevkit") / "VOCdevkit"
    (root / "VOC2007" / "JPEGImages" / "000001.jpg").unlink()
    with pytest.raises(Refusal, match=r"000001\.jpg: No such file.*data doctor"):
        fingerprint.compute(root, "voc07")
    (root / "VOC2007" / "ImageSets" / "Main" / "cat_test.txt").unlink()
    with pytest.raises(Refusal, match=r"cat_test\.txt cannot be read"):
        fingerprint.compute(root, "voc07")


def test_small_data_is_measured_every_time_and_nothing_is_cached(tmp_path: Path, private_cache: Path) -> None:
    fingerprint.compute(tiny(tmp_path / "data"), "imagenet")
    assert not private_cache.exists()


def test_large_data_is_measured_once_until_a_folder_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "CACHED_ABOVE", 1)
    root = tiny(tmp_path / "data")
    first = fingerprint.compute(root, "imagenet")
    monkeypatch.setattr(members, "images", lambda *_: pytest.fail("measured again"))
    assert fingerprint.compute(root, "imagenet") == first
    monkeypatch.undo()
    (root / "val" / "a" / "4.jpg").touch()
    os.utime(root / "val" / "a", ns=(1, 1))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert fingerprint.compute(root, "imagenet").counts == {"train": 2, "val": 2}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"stamp": 1}'])
def test_a_damaged_cache_is_only_slower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private_cache: Path, damage: str
) -> None:
    monkeypatch.setattr(fingerprint, "CACHED_ABOVE", 1)
    root = tiny(tmp_path / "data")
    first = fingerprint.compute(root, "imagenet")
    [cache] = private_cache.rglob("*.json")
    cache.write_text(damage)
    assert fingerprint.compute(root, "imagenet") == first


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "CACHED_ABOVE", 1)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert fingerprint.compute(tiny(tmp_path / "data"), "imagenet").counts == {"train": 2, "val": 1}
