"""One evaluation: what is measured, where its work lies, and what came out. Torch-free."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluate.protocols import Protocol
from evaluate.run import Run
from evaluate.weights import ResolvedWeights
from results import atomic
from results.records import DatasetIdentity, Measurement

RESULT_FILE = "result.json"


@dataclass(frozen=True)
class Job:
    """One protocol for one checkpoint on one data set. `folder` is its own and survives interruptions."""

    name: str
    named: Protocol
    protocol: Protocol
    run: Run
    weights: ResolvedWeights
    dataset: DatasetIdentity
    folder: Path

    @property
    def subset(self) -> str:
        """Which part of the images is used; empty for all."""
        return self.dataset.subset


@dataclass(frozen=True)
class Outcome:
    """What a job measured. `predictions` maps a cell to its npz in the work folder; `log` is there too, if any."""

    measurements: tuple[Measurement, ...]
    predictions: Mapping[str, str]
    seconds: float
    accelerator: str = ""
    resumed: bool = False
    log: str = ""
    extra_deviations: tuple[str, ...] = field(default=())


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Keep the outcome in the work folder: a lost record can be written anew from it."""
    content = json.dumps(dataclasses.asdict(outcome), indent=1, sort_keys=True, allow_nan=False)
    atomic.write_text(folder / RESULT_FILE, content + "\n")


def read_outcome(folder: Path) -> Outcome | None:
    """The outcome of a finished job, or None where there is none (or none that can be trusted)."""
    try:
        content: dict[str, Any] = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        content["measurements"] = tuple(Measurement(**one) for one in content["measurements"])
        content["extra_deviations"] = tuple(content["extra_deviations"])
        outcome = Outcome(**content)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if all((folder / name).is_file() for name in outcome.predictions.values()):
        return outcome
    return None
