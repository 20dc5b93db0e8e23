"""A small trunk in the real one's place, and the command line around it; run as a script it is one of several ranks."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluate import trunk
from evaluate.command import execute
from evaluate.protocols import PROTOCOLS, Probe
from evaluate.run import Run
from pretrain.resnet import ResNet
from results.records import Record, read_records


def tiny_trunk() -> ResNet:
    """One block a stage, 2048 features: enough for everything but the accuracy."""
    return ResNet((1, 1, 1, 1), zero_init_residual=False)


def use_tiny_trunk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trunk, "new_trunk", tiny_trunk)


def measure(folder: Path, data: Path, name: str, *, run: dict[str, Any] | None = None, **settings: Any) -> None:
    """`python -m evaluate NAME` on the random control and a few images, in this process."""
    named = PROTOCOLS[name]
    if isinstance(named, Probe):
        settings = {"epochs": 3, "global_batch_size": 16, **settings}
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    chosen = {"checkpoint": "random-init", "limit": 60, "workers": 0, "device": "cpu", **(run or {})}
    here = Run(data=data / "imagenet", output=folder / "work", records=folder / "records", **chosen)
    execute(name, named, replace(named, **settings), here)


def records_of(folder: Path) -> dict[str, Record]:
    found, warnings = read_records(folder / "records")
    assert warnings == []
    return {record.cell: record for record in found}


if __name__ == "__main__":
    torch.set_num_threads(1)
    use_tiny_trunk(pytest.MonkeyPatch())
    arguments = json.loads(sys.argv[1])
    measure(Path(arguments.pop("folder")), Path(arguments.pop("data")), arguments.pop("name"), **arguments)
