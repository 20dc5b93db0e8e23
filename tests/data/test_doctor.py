"""The doctor: silent on whole data, and each kind of damage found under its own name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data.doctor import Severity, examine, exit_status, run_checks
from data.layouts import LAYOUTS

Copy = Callable[..., Path]
FOLDERS = {"imagenet_1pct": "imagenet", "imagenet_10pct": "imagenet", "voc07": "VOCdevkit", "voc0712": "VOCdevkit"}


def tree(dataset: str) -> str:
    return FOLDERS.get(dataset, dataset)


@pytest.mark.parametrize("dataset", list(LAYOUTS))
def test_the_whole_corpus_has_no_findings_however_deep_one_looks(digits_root: Path, dataset: str) -> None:
    assert examine(dataset, digits_root / tree(dataset), deep=True) == []
    assert exit_status([], strict=True) == 0


@pytest.mark.parametrize("dataset", list(LAYOUTS))
def test_a_missing_or_empty_root_is_unusable(tmp_path: Path, dataset: str) -> None:
    for root in (tmp_path / "none", tmp_path):
        [finding] = examine(dataset, root)
        assert finding.severity is Severity.UNUSABLE
        assert exit_status([finding]) == 2


def test_the_digits_outside_their_corpus_miss_the_published_counts(digits_root: Path, tmp_path: Path) -> None:
    shutil.copytree(digits_root / "places205", tmp_path / "places205")
    messages = [finding.message for finding in examine("places205", tmp_path / "places205")]
    assert messages == [
        "10 classes, expected 205",
        "720 images, expected 2,448,873",
        "360 images, expected 20,500",
    ]


def json_edit(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def coco_edit(edit: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    return lambda root: json_edit(root / "annotations" / "instances_val2017.json", edit)


def inat_edit(edit: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    return lambda root: json_edit(root / "val2018.json", edit)


def xml_edit(old: str, new: str) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        path = root / "VOC2007" / "Annotations" / "000101.xml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


def first(root: Path, pattern: str) -> Path:
    return sorted(root.glob(pattern))[0]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def drop_category(content: dict[str, Any]) -> None:
    gone = {item["image_id"] for item in content["annotations"] if item["category_id"] == 4}
    content["images"] = [item for item in content["images"] if item["id"] not in gone]


DAMAGE: list[tuple[str, Callable[[Path], object], Severity, str]] = [
    ("imagenet", lambda r: shutil.rmtree(r / "val" / "digit3"), Severity.UNUSABLE, "1 classes are in one split only"),
    ("imagenet", lambda r: first(r, "train/digit5/*").unlink(), Severity.PROBLEM, "1,436 images, expected 1,437"),
    ("imagenet", lambda r: truncate(first(r, "val/digit1/*")), Severity.PROBLEM, "cannot be used; the first: "),
    ("imagenet", lambda r: (r / "val" / "digit1" / "notes.txt").touch(), Severity.NOTE, "not images"),
    ("imagenet", lambda r: shutil.rmtree(r / "val"), Severity.UNUSABLE, "val does not exist"),
    ("imagenet_1pct", lambda r: (r / "1percent.txt").unlink(), Severity.UNUSABLE, "`python -m data lists"),
    ("imagenet_1pct", lambda r: shutil.rmtree(r / "train" / "digit5"), Severity.PROBLEM, "2 of 20 do not exist"),
    ("places205", lambda r: empty(r / "val" / "dam"), Severity.PROBLEM, "without an image"),
    ("inat18", lambda r: (r / "val2018.json").write_text("{"), Severity.UNUSABLE, "not readable JSON"),
    ("inat18", lambda r: first(r, "train_val2018/Aves/9/*").unlink(), Severity.PROBLEM, "1 of "),
    ("inat18", inat_edit(drop_category), Severity.PROBLEM, "1 categories have no image in val: 4"),
    ("inat18", inat_edit(lambda c: c["categories"].append({"id": 77})), Severity.UNUSABLE, "different categories"),
    (
        "inat18",
        inat_edit(lambda c: c["images"][0].update(file_name="../../etc/passwd")),
        Severity.UNUSABLE,
        "leaves the data set's folder",
    ),
    (
        "inat18",
        lambda r: shutil.copyfile(r / "train2018.json", r / "val2018.json"),
        Severity.PROBLEM,
        "images are in both splits",
    ),
    ("voc07", lambda r: (r / "VOC2007/JPEGImages/000003.jpg").unlink(), Severity.PROBLEM, "1 of 100 do not exist"),
    ("voc07", lambda r: (r / "VOC2007/Annotations/000003.xml").unlink(), Severity.UNUSABLE, "cannot be read"),
    ("voc07", xml_edit("<annotation>", "<!DOCTYPE a><annotation>"), Severity.UNUSABLE, "document type"),
    ("voc07", xml_edit("<xmax>", "<xmax>9"), Severity.PROBLEM, "a box outside its image"),
    ("voc07", xml_edit("<xmin>", "<xmin>-"), Severity.PROBLEM, "a box outside its image"),
    ("voc07", xml_edit("<difficult>0", "<difficult>1"), Severity.NOTE, "labelled otherwise than their XML says"),
    ("voc07", xml_edit("<width>1", "<width>2"), Severity.PROBLEM, "its annotation says"),
    ("voc07", lambda r: (r / "VOC2007/ImageSets/Main/cow_test.txt").unlink(), Severity.UNUSABLE, "cow_test.txt"),
    (
        "voc07",
        lambda r: (r / "VOC2007/ImageSets/Main/test.txt").write_text("000101\n000001\n"),
        Severity.PROBLEM,
        "1 images are in train and val",
    ),
    ("voc0712", lambda r: shutil.rmtree(r / "VOC2012"), Severity.UNUSABLE, "VOC2012 does not exist; unpack"),
    ("voc0712", lambda r: truncate(r / "VOC2012/JPEGImages/2012_000007.jpg"), Severity.PROBLEM, "2012_000007.jpg"),
    ("coco", lambda r: first(r, "val2017/*").unlink(), Severity.PROBLEM, "1 of 50 do not exist"),
    ("coco", lambda r: shutil.rmtree(r / "annotations"), Severity.UNUSABLE, "does not exist; put the published file"),
    ("coco", coco_edit(lambda c: c["annotations"][0]["bbox"].__setitem__(0, 500)), Severity.PROBLEM, "boxes outside"),
    ("coco", coco_edit(lambda c: c["annotations"][0].update(bbox=["1", 2, 3, 4])), Severity.PROBLEM, "boxes outside"),
    ("coco", coco_edit(lambda c: c["annotations"][0]["bbox"].__setitem__(2, 0)), Severity.NOTE, "boxes without area"),
    ("coco", coco_edit(lambda c: c["annotations"][0].update(segmentation=[[1, 2]])), Severity.PROBLEM, "malformed"),
    ("coco", coco_edit(lambda c: c["annotations"][1].update(id=1000)), Severity.UNUSABLE, "annotations share an id"),
    ("coco", coco_edit(lambda c: c["annotations"][0].update(image_id=9999)), Severity.UNUSABLE, "belong to no image"),
    ("coco", coco_edit(lambda c: c["annotations"][0].update(category_id=12)), Severity.UNUSABLE, "unknown category"),
    ("coco", coco_edit(lambda c: c["images"][1].update(id=1)), Severity.UNUSABLE, "two images share an id"),
    ("coco", coco_edit(lambda c: c["categories"][0].update(name="human")), Severity.UNUSABLE, "80 published ids"),
    ("coco", coco_edit(lambda c: c["images"][0].update(file_name="/etc/passwd")), Severity.UNUSABLE, "leaves the data"),
    ("coco", coco_edit(lambda c: c["images"][0].update(width=7)), Severity.PROBLEM, "its annotation says 7 x"),
    ("coco", coco_edit(lambda c: c.update(images=[5])), Severity.UNUSABLE, "not a list of objects"),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "damage", "severity", "message"), DAMAGE, ids=range(len(DAMAGE)))
def test_each_damage_is_found_and_named(
    copy_digits: Copy, dataset: str, damage: Callable[[Path], object], severity: Severity, message: str
) -> None:
    root = copy_digits(tree(dataset)) / tree(dataset)
    damage(root)
    findings = examine(dataset, root, deep=True)
    matching = [finding for finding in findings if message in finding.message]
    assert matching, [finding.message for finding in findings]
    assert matching[0].severity is severity
    assert exit_status(findings) >= int(severity)
    assert exit_status(findings, strict=True) >= 1


def test_every_corrupt_file_is_listed(copy_digits: Copy) -> None:
    root = copy_digits("imagenet") / "imagenet"
    broken = sorted((root / "train" / "digit2").iterdir())[:3]
    for path in broken:
        path.write_bytes(b"")
    [finding] = examine("imagenet", root, deep=True)
    assert list(finding.files) == broken


def test_without_deep_a_sample_is_decoded(digits_root: Path) -> None:
    summaries = {check.name: check.summary for check in run_checks("imagenet", digits_root / "imagenet")}
    assert summaries["train images decode"] == "64 decoded (a sample of 1,437)"


def test_unusual_but_readable_images_are_no_finding(copy_digits: Copy) -> None:
    root = copy_digits("imagenet") / "imagenet"
    victims = sorted((root / "val" / "digit2").iterdir())
    Image.new("CMYK", (50, 40)).save(victims[0], "JPEG")
    Image.new("P", (1, 1)).save(victims[1], "PNG")
    assert examine("imagenet", root, deep=True) == []


def test_notes_count_only_when_strict(copy_digits: Copy) -> None:
    root = copy_digits("imagenet") / "imagenet"
    (root / "val" / "digit2" / "notes.txt").touch()
    findings = examine("imagenet", root)
    assert [finding.severity for finding in findings] == [Severity.NOTE]
    assert exit_status(findings) == 0
    assert exit_status(findings, strict=True) == 1
