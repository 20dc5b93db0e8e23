"""Which data it is: digits, official or other."""

from pathlib import Path

import pytest

from data import corpus, layouts
from results.refusal import Refusal

COUNTS = {
    "imagenet": {"train": 1437, "val": 360},
    "imagenet_1pct": {"train": 20, "val": 360},
    "imagenet_10pct": {"train": 149, "val": 360},
    "places205": {"train": 720, "val": 360},
    "inat18": {"train": 720, "val": 360},
    "voc07": {"train": 100, "val": 60},
    "voc0712": {"train": 160, "val": 60},
    "coco": {"train": 120, "val": 50},
}
FOLDERS = {"imagenet_1pct": "imagenet", "imagenet_10pct": "imagenet", "voc07": "VOCdevkit", "voc0712": "VOCdevkit"}


@pytest.mark.parametrize("dataset", list(layouts.LAYOUTS))
def test_the_digits_are_known_as_digits_with_their_counts(digits_root: Path, dataset: str) -> None:
    found = corpus.identify(digits_root / FOLDERS.get(dataset, dataset), dataset, subset="limit 5")
    assert (found.name, found.corpus, found.subset) == (dataset, "digits", "limit 5")
    assert found.counts == COUNTS[dataset]


def tiny(root: Path) -> Path:
    for split, count in (("train", 3), ("val", 2)):
        (root / split / "n01").mkdir(parents=True)
        for number in range(count):
            (root / split / "n01" / f"n01_{number}.JPEG").write_bytes(b"x" * number)
    return root


def test_a_part_of_imagenet_never_passes_for_imagenet(tmp_path: Path) -> None:
    assert corpus.identify(tiny(tmp_path), "imagenet").corpus == "other"


def test_the_published_counts_make_it_official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = layouts.Layout("imagenet", "tiny", {"train": 3, "val": 2}, 1, "", "this test")
    monkeypatch.setattr(layouts, "LAYOUTS", {"imagenet": layout})
    assert corpus.identify(tiny(tmp_path), "imagenet").corpus == "official"


def test_unknown_names_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="unknown data set"):
        corpus.identify(tmp_path, "mnist")
    with pytest.raises(Refusal, match="train does not exist"):
        corpus.identify(tmp_path, "imagenet")
