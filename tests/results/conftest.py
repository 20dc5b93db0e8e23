"""Records to test with, made the way the rooms make them."""

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.counting import protocol_hashes
from results.records import CheckpointIdentity, DatasetIdentity, Measurement, Record
from results.tables import tolerances

DIGESTS = {"VICReg": "a" * 64, "Barlow Twins": "b" * 64, "random init": "c" * 64}


def build_record(
    cell: str = "table1/linear/top1",
    value: float = 73.2,
    *,
    label: str = "VICReg",
    seed: int = 0,
    corpus: str = "official",
    protocol: str = "linear",
    subset: str = "",
    deviations: tuple[str, ...] = (),
    details: dict[str, Any] | None = None,
    attachments: dict[str, str] | None = None,
    sha256: str = "",
    sample_count: int = 0,
    **changes: Any,
) -> Record:
    """A whole record; every argument is a field of it or of one of its parts."""
    tolerance = tolerances().get(cell)
    test_images = tolerance.test_images if tolerance else None
    counts = {"train": 1437, "val": 360} if corpus == "digits" else {"train": 1_281_167, "val": test_images or 50_000}
    record = Record(
        measurement=Measurement(cell, value, sample_count or counts["val"], details=details or {}),
        checkpoint=CheckpointIdentity(sha256 or DIGESTS.get(label, "d" * 64), "resnet50.pth", label),
        dataset=DatasetIdentity("imagenet", corpus, f"{corpus}-fingerprint", counts, subset),
        protocol=protocol,
        protocol_hash=protocol_hashes().get(protocol, f"hash-{protocol}") + "-changed" * bool(deviations),
        protocol_settings={"epochs": 100},
        deviations=deviations,
        seed=seed,
        commit="0" * 40,
        versions={"python": "3.11", "torch": "2.15.0"},
        hardware="a processor, 2 cores",
        wall_time_seconds=12.5,
        command=f"python -m evaluate {protocol}",
        created="2026-01-01T00:00:00.000+00:00",
        attachments=attachments or {},
    )
    return dataclasses.replace(record, **changes)


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """The builder above."""
    return build_record


@pytest.fixture
def beside_stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder in which `python -m evaluate`, `transfer` and `data` are the stand-ins of rooms.py."""
    here, root = Path(__file__).parent, Path(__file__).parents[2]
    monkeypatch.syspath_prepend(str(here))
    from rooms import write_rooms

    write_rooms(tmp_path / "rooms")
    paths = [str(root), str(here), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.chdir(tmp_path / "rooms")
    # What the disk that the tests run on has left must not decide them.
    monkeypatch.setattr("results.doctor.free_disk_gib", lambda folder: 1000.0)
    assert sys.executable
    return tmp_path
