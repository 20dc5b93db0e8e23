"""The digits corpus: complete, deterministic, atomic."""

from pathlib import Path

from data.digits import build


def test_the_corpus_is_built_once_and_found_whole_the_second_time(digits_root: Path) -> None:
    marker, written = build.build(digits_root, seed=0)
    assert not written
    assert marker.counts["imagenet"] == {"train": 1437, "val": 360}
    assert len(list((digits_root / "imagenet" / "train").glob("*/*.JPEG"))) == 1437
    assert len(list((digits_root / "imagenet" / "val").glob("*/*.JPEG"))) == 360
