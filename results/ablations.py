"""What the paper claims of its ablations besides accuracies, checked on measured runs: logs and records joined by cell.

A claim is an inequality, quantity(lesser) < factor x quantity(greater), between two cells of the paper; without a
lesser cell, factor < quantity(greater). It is judged for every seed that both cells have.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from results.records import Record
from results.report.pretraining import LOG_NAME, Point, read_log
from results.tables import PAPER
from results.typed import read_csv

Quantity = Literal["top1", "embedding_std", "representation_std", "spread", "correlation"]

MEANINGS: dict[Quantity, str] = {
    "top1": "linear probe, top-1 in %",
    "embedding_std": "standard deviation of the projections, mean over dimensions",
    "representation_std": "standard deviation of the representations, mean over dimensions",
    "spread": "standard deviation of the projections divided by their length, in units of 1/√d: 1 is the whole sphere",
    "correlation": "Eq. 10, mean squared correlation of the representations",
}
LAST_SHARE = 0.1
"""The last tenth of the logged steps makes a run's final value."""


@dataclass(frozen=True)
class Claim:
    """One statement of the paper as an inequality (see above)."""

    claim: str
    source: str
    quantity: Quantity
    lesser: str | None
    factor: float
    greater: str


@dataclass(frozen=True)
class AblationRun:
    """One pretraining: its log, and its probe's number in one cell."""

    cell: str
    seed: int
    corpus: str
    top1: float
    points: tuple[Point, ...]

    def quantity(self, name: Quantity) -> float | None:
        """The run's final value, or None where its log does not have it."""
        if name == "top1":
            return self.top1
        values = [value for point in self.last if (value := _at(point, name)) is not None]
        return sum(values) / len(values) if values else None

    @property
    def last(self) -> tuple[Point, ...]:
        """The logged points that make the final value."""
        return self.points[-max(1, round(LAST_SHARE * len(self.points))) :]


@dataclass(frozen=True)
class Verdict:
    """A claim with both sides' values as measured, seed by seed; `lesser` is empty where the claim has no such cell."""

    claim: Claim
    lesser: tuple[float, ...]
    greater: tuple[float, ...]

    @property
    def held(self) -> int:
        """For how many seeds the inequality holds."""
        if self.claim.lesser is None:
            return sum(self.claim.factor < value for value in self.greater)
        return sum(a < self.claim.factor * b for a, b in zip(self.lesser, self.greater, strict=True))

    @property
    def word(self) -> str:
        """The verdict in words."""
        seeds = len(self.greater)
        if not seeds:
            return "not measured"
        if self.held == seeds:
            return "holds"
        return f"holds for {self.held} of {seeds} seeds" if self.held else "does not hold"


@functools.cache
def claims() -> tuple[Claim, ...]:
    """The paper's statements, in its order."""
    return read_csv(PAPER / "claims.csv", Claim)


def find_ablations(records: Sequence[Record], runs_folder: Path) -> list[AblationRun]:
    """The runs below `runs_folder` whose backbone has a record in a cell of an ablation."""
    logs = _logs_by_digest(runs_folder)
    found = {}
    for record in sorted(records, key=lambda one: one.moment):
        log = logs.get(record.checkpoint.sha256)
        if log is not None and record.cell.split("/")[0] in ("table3", "table4a", "table4b"):
            run = AblationRun(record.cell, record.seed, record.dataset.corpus, record.measurement.value, log)
            found[run.cell, run.seed, run.corpus] = run
    return list(found.values())


def judge(runs: Sequence[AblationRun]) -> list[Verdict]:
    """Every claim, on the runs' seeds that have both of its cells."""
    by_cell: dict[str, dict[int, AblationRun]] = {}
    for run in runs:
        by_cell.setdefault(run.cell, {})[run.seed] = run
    return [_judge(claim, by_cell) for claim in claims()]


def _judge(claim: Claim, by_cell: Mapping[str, Mapping[int, AblationRun]]) -> Verdict:
    greater = _values(claim, by_cell.get(claim.greater, {}))
    if claim.lesser is None:
        return Verdict(claim, (), tuple(greater.values()))
    lesser = _values(claim, by_cell.get(claim.lesser, {}))
    seeds = [seed for seed in greater if seed in lesser]
    return Verdict(claim, tuple(lesser[seed] for seed in seeds), tuple(greater[seed] for seed in seeds))


def _values(claim: Claim, runs: Mapping[int, AblationRun]) -> dict[int, float]:
    values = {seed: runs[seed].quantity(claim.quantity) for seed in sorted(runs)}
    return {seed: value for seed, value in values.items() if value is not None}


def _at(point: Point, name: Quantity) -> float | None:
    if name == "correlation":
        return point.get("representation_correlation")
    if name == "spread":
        mean = _mean(point, "unit_embedding_std")
        return None if mean is None or "sphere_std" not in point else mean / point["sphere_std"]
    return _mean(point, name)


def _mean(point: Point, name: str) -> float | None:
    values = [point[key] for key in (f"{name}_a", f"{name}_b") if key in point]
    return sum(values) / len(values) if values else None


def _logs_by_digest(folder: Path) -> dict[str, tuple[Point, ...]]:
    logs = {}
    for card in sorted(folder.rglob("*.pth.json")):
        log = card.with_name(LOG_NAME)
        if not log.is_file():
            continue
        try:
            digest = json.loads(card.read_text(encoding="utf-8"))["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        logs[str(digest)] = tuple(read_log(log)[0])
    return logs
