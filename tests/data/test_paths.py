"""Names from other people's files never lead out of the root."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.paths import below, existing_folder
from results.refusal import Refusal

ROOT = Path("/root/of/data")
SOURCE = Path("list.json")


def test_a_plain_relative_name_lies_below_the_root() -> None:
    assert below(ROOT, "a/b.jpg", SOURCE) == Path("/root/of/data/a/b.jpg")


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "..", "", "a\0b", "..\\x", ".", 5, None, ["a"]])
def test_a_name_that_leaves_the_root_is_refused_with_its_source(name: object) -> None:
    with pytest.raises(Refusal, match=r"list\.json"):
        below(ROOT, name, SOURCE)


@given(st.text())
def test_whatever_is_accepted_lies_below_the_root(name: str) -> None:
    try:
        path = below(ROOT, name, SOURCE)
    except Refusal:
        return
    assert ROOT in path.parents
    assert ".." not in path.parts


def test_a_missing_folder_is_named_with_its_purpose(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="nothing does not exist; it is needed for the pictures"):
        existing_folder(tmp_path / "nothing", "the pictures")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="is not a folder"):
        existing_folder(tmp_path / "file", "the pictures")
