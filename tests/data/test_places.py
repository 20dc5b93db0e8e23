"""Places205's csv splits."""

from pathlib import Path

import pytest

from data import places
from results.refusal import Refusal


def written(root: Path, text: str) -> Path:
    places.csv_path(root, "train").parent.mkdir(parents=True, exist_ok=True)
    places.csv_path(root, "train").write_text(text)
    return root


@pytest.mark.parametrize(
    ("relative", "name"),
    [
        ("a/abbey/gsun_1.jpg", "abbey"),
        ("a/apartment_building/outdoor/x.jpg", "apartment_building-outdoor"),
        ("x.jpg", ""),
        ("a/x.jpg", ""),
    ],
)
def test_the_letter_goes_and_a_second_level_is_joined(relative: str, name: str) -> None:
    assert places.class_name(relative) == name


def test_lines_are_read_with_and_without_a_leading_slash(tmp_path: Path) -> None:
    found = places.read_split(written(tmp_path, "a/abbey/1.jpg 0\n/b/bar/2.jpg 3\n\n"), "train")
    images = tmp_path / "data" / "vision" / "torralba" / "deeplearning" / "images256"
    assert found == [
        places.PlacesImage(images / "a" / "abbey" / "1.jpg", "abbey", 0),
        places.PlacesImage(images / "b" / "bar" / "2.jpg", "bar", 3),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no images"),
        ("a/abbey/1.jpg\n", "the line"),
        ("a/abbey/1.jpg x\n", "the line"),
        ("1.jpg 0\n", "the line"),
        ("a/abbey/1.jpg -1\n", "the line"),
        ("a/../../../etc/passwd 0\n", "leaves the data set"),
        ("a/abbey/1.jpg 0\na/abbey/1.jpg 0\n", "lists an image twice"),
        ("a/abbey/1.jpg 0\na/abbey/2.jpg 1\n", "one to one"),
        ("a/abbey/1.jpg 0\nb/bar/2.jpg 0\n", "one to one"),
    ],
)
def test_a_broken_csv_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(Refusal, match=rf"train_places205\.csv.*{message}"):
        places.read_split(written(tmp_path, text), "train")


def test_a_missing_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"val_places205\.csv cannot be read"):
        places.read_split(tmp_path, "val")
