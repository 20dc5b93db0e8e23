"""Archives of arrays from anybody."""

from pathlib import Path

import numpy as np
import pytest

from results import npz
from results.refusal import Refusal


def test_all_arrays_come_back_by_name(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", labels=np.arange(3), images=np.array([b"x/y.jpg"]))
    found = npz.read(tmp_path / "a.npz")
    assert sorted(found) == ["images", "labels"]
    assert found["labels"].tolist() == [0, 1, 2] and found["images"].tolist() == [b"x/y.jpg"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"<html>"])
def test_what_is_no_archive_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(Refusal, match=r"a\.npz is not a readable npz file \("):
        npz.read(tmp_path / "a.npz")
    with pytest.raises(Refusal, match=r"none\.npz is not a readable npz file \("):
        npz.read(tmp_path / "none.npz")


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", labels=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Refusal, match=r"a\.npz is not a readable npz file \(Object arrays cannot be loaded"):
        npz.read(tmp_path / "a.npz")
