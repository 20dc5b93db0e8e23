"""One evaluation: what is measured, where its work lies, and what came out. Torch-free."""

import dataclasses
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evaluate.protocols import Protocol
from evaluate.run import Run
from evaluate.weights import ResolvedWeights
from results import sealed
from results.records import DatasetIdentity, Measurement
from results.settings import refuse_wrong_types

RESULT_FILE = "result.json"
STATES = "checkpoints"
"""Below the work folder; as `pretrain.checkpoint` names it, which imports torch."""


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
    """Keep the outcome in the work folder, with digests: a lost record can be written anew from it."""
    names = {name for name in (*outcome.predictions.values(), outcome.log) if name and (folder / name).is_file()}
    files = {name: sealed.file_sha256(folder / name) for name in names}
    sealed.write_json(folder / RESULT_FILE, {**dataclasses.asdict(outcome), "files": files})


def read_outcome(folder: Path) -> Outcome | None:
    """The outcome of a finished job, or None where there is none, or none that is as it was written.

    A damaged one is named on stderr. Where it is its predictions that are damaged, the states that led to them go too:
    only training anew brings them back.
    """
    if not (folder / RESULT_FILE).exists():
        return None
    try:
        content = sealed.read_json(folder / RESULT_FILE)
        files = dict(content.pop("files"))
        content["measurements"] = tuple(Measurement(**one) for one in content["measurements"])
        content["extra_deviations"] = tuple(content["extra_deviations"])
        outcome = Outcome(**content)
        refuse_wrong_types(outcome, "outcome")
        _check_files(files)
    except (ValueError, TypeError, KeyError) as error:
        print(f"warning: {error}; going on from the last state in {folder}", file=sys.stderr)
        return None
    for name, digest in files.items():
        if not (folder / name).is_file() or sealed.file_sha256(folder / name) != digest:
            print(f"warning: {folder / name} is missing or damaged; measuring anew", file=sys.stderr)
            shutil.rmtree(folder / STATES, ignore_errors=True)
            return None
    return outcome


def _check_files(files: Mapping[str, object]) -> None:
    """Raises ValueError unless they are names of this folder with digests: others can only be a forger's."""
    for name, digest in files.items():
        if Path(name).name != name or not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ValueError(f"{name!r} is no file of this folder, or {digest!r} no digest")
