"""A record says by itself where it came from."""

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from results import provenance
from results.records import CheckpointIdentity, DatasetIdentity, Measurement, read_record, write_record
from results.settings import settings_hash


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Settings of a made-up protocol."""

    epochs: int = 100


def test_a_new_record_carries_settings_deviations_versions_and_place(tmp_path: Path) -> None:
    record = provenance.new_record(
        Measurement("table1/linear/top1", 73.2, 50_000),
        checkpoint=CheckpointIdentity("a" * 64, "resnet50.pth", "VICReg"),
        dataset=DatasetIdentity("imagenet", "official", "f" * 64, {"val": 50_000}),
        protocol_name="linear",
        named_protocol=Protocol(),
        used_protocol=Protocol(epochs=2),
        seed=3,
        wall_time_seconds=1.23456,
        accelerator="8 x GPU",
        extra_deviations=("precision: float32 -> bfloat16",),
    )
    assert record.deviations == ("epochs: 100 -> 2", "precision: float32 -> bfloat16")
    assert record.protocol_hash == settings_hash(Protocol(epochs=2)) and record.protocol_settings == {"epochs": 2}
    assert record.wall_time_seconds == 1.235 and record.hardware.startswith("8 x GPU; ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", record.created)
    assert read_record(write_record(record, tmp_path)) == record


def test_the_commit_is_gits_and_says_when_files_were_changed() -> None:
    root = Path(__file__).parents[2]
    head = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        pytest.skip("this copy is no git working tree")
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", provenance.commit())


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert provenance.commit() == "unknown"


def test_versions_name_python_and_what_can_move_a_number() -> None:
    import numpy as np

    found = provenance.versions()
    assert found["numpy"] == np.__version__ and {"python", "torch", "torchvision"} <= set(found)
