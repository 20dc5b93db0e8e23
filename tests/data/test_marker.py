"""The corpus's marker."""

from pathlib import Path

import pytest

from data import marker
from results.refusal import Refusal


def test_the_marker_is_found_up_to_three_folders_above(digits_root: Path) -> None:
    for below in ("", "imagenet", "imagenet/train", "imagenet/train/digit0"):
        found = marker.find_marker(digits_root / below)
        assert found is not None
        assert found.seed == 0


def test_outside_a_corpus_there_is_none(tmp_path: Path) -> None:
    assert marker.find_marker(tmp_path) is None


def test_the_counts_expected_are_the_published_ones_outside_and_the_marker_s_inside(
    digits_root: Path, tmp_path: Path
) -> None:
    assert dict(marker.expected_counts(tmp_path, "voc07")) == {"train": 5011, "val": 4952}
    assert dict(marker.expected_counts(digits_root / "VOCdevkit", "voc07")) == {"train": 100, "val": 60}
    assert marker.expected_classes(tmp_path, "inat18") == 8142
    assert marker.expected_classes(digits_root, "inat18") == 10


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"corpus": "imagenet"}', '{"corpus": "digits", "seed": 0}'])
def test_a_marker_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "CORPUS.json").write_text(text)
    with pytest.raises(Refusal, match=r"CORPUS\.json"):
        marker.find_marker(tmp_path)
