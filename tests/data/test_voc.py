"""VOC's image sets, class files and XML."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import voc
from results.refusal import Refusal

XML = """<annotation><size><width>20</width><height>10</height></size>
<object><name>dog</name><difficult>{difficult}</difficult>
<bndbox><xmin>1</xmin><ymin>{ymin}</ymin><xmax>20</xmax><ymax>10</ymax></bndbox></object></annotation>"""


def year(root: Path, **sets: str) -> Path:
    """A year's folder with these files in ImageSets/Main."""
    folder = root / "VOC2007"
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for name, text in sets.items():
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text(text)
    return folder


def test_the_folder_of_a_year_is_found_with_and_without_voc_devkit(tmp_path: Path) -> None:
    folder = tmp_path / "VOCdevkit" / "VOC2007"
    folder.mkdir(parents=True)
    assert voc.year_folder(tmp_path, 2007) == voc.year_folder(tmp_path / "VOCdevkit", 2007) == folder
    with pytest.raises(Refusal, match="VOC2012 does not exist; unpack"):
        voc.year_folder(tmp_path, 2012)


def test_the_coding_is_present_one_absent_zero_ignore_minus_one(tmp_path: Path) -> None:
    # VOC writes 1 present, 0 only difficult, -1 absent; "c" is missing from dog's file altogether.
    folder = year(tmp_path, cat_test="b  1\na -1\nc  0\n", dog_test="a  0\nb  1\n")
    ids, labels = voc.class_labels(folder, "test", ["cat", "dog"])
    assert ids == ["a", "b", "c"]
    assert labels.tolist() == [[0, -1], [1, 1], [-1, -1]]
    assert labels.dtype == np.int32


@pytest.mark.parametrize("line", ["a", "a 2", "a 1 1", "a one", "../a 1"])
def test_a_broken_class_file_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(Refusal, match=r"cat_test\.txt"):
        voc.class_labels(year(tmp_path, cat_test=line), "test", ["cat"])


def test_a_missing_class_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"dog_test\.txt cannot be read"):
        voc.class_labels(year(tmp_path, cat_test="a 1"), "test", ["cat", "dog"])


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "lists no images"), ("a\nb\na\n", "lists an image twice"), ("../../etc/x\n", "is not an image id")],
)
def test_a_broken_image_set_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(Refusal, match=rf"test\.txt.*{message}"):
        voc.image_ids(year(tmp_path, test=text), "test")


@pytest.mark.parametrize("difficult", [0, 1])
def test_an_annotation_is_read(tmp_path: Path, difficult: int) -> None:
    path = tmp_path / "a.xml"
    path.write_text(XML.format(difficult=difficult, ymin="2.5"))
    found = voc.read_annotation(path)
    assert (found.width, found.height) == (20, 10)
    assert found.objects == (voc.VocObject("dog", bool(difficult), (1.0, 2.5, 20.0, 10.0)),)


@pytest.mark.parametrize("ymin", ["", "two", "nan", "inf", "<b/>"])
def test_a_box_that_is_no_number_is_refused(tmp_path: Path, ymin: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(XML.format(difficult=0, ymin=ymin))
    with pytest.raises(Refusal, match=r"a\.xml: <bndbox/ymin> is"):
        voc.read_annotation(path)


def test_objects_give_the_labels_that_their_class_files_must_have() -> None:
    def thing(name: str, difficult: bool) -> voc.VocObject:
        return voc.VocObject(name, difficult, (1, 1, 2, 2))

    labels = voc.labels_from_objects([thing("dog", True), thing("cat", True), thing("cat", False)])
    coded = dict(zip(voc.CLASSES, labels, strict=True))
    assert (coded["dog"], coded["cat"], coded["bird"]) == (-1, 1, 0)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.text(alphabet="01-ab \n\t", max_size=60))
def test_any_text_gives_ids_and_labels_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, ids: str, classes: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    (folder / "ImageSets" / "Main" / "test.txt").write_text(ids)
    (folder / "ImageSets" / "Main" / "cat_test.txt").write_text(classes)
    readers: list[Callable[[], list[str]]] = [
        lambda: voc.image_ids(folder, "test"),
        lambda: voc.class_labels(folder, "test", ["cat"])[0],
    ]
    for read in readers:
        try:
            assert all("/" not in image_id and "." not in image_id for image_id in read())
        except Refusal as refusal:
            assert "test.txt" in str(refusal)
