"""Why a number may differ from the paper's: causes by stage, direction and size, each with a command to test it."""

import functools
from dataclasses import dataclass
from typing import Literal

from results.refusal import Refusal
from results.stages import STAGES, stage_of
from results.tables import PAPER
from results.typed import read_csv

PRETRAINING = "pretraining"
"""Stands for the ablations, whose cells need their own pretraining."""


@dataclass(frozen=True)
class Cause:
    """One explanation of a delta (ours minus the paper's) of `least` to `most` points in size.

    `stages` are separated by spaces; `direction` is the sign of the delta; CHECKPOINT, IMAGENET and the like in
    `command` stand for the user's own.
    """

    stages: str
    direction: Literal["below", "above", "either"]
    least: float
    most: float
    cause: str
    evidence: str
    command: str
    source: str

    def explains(self, delta: float) -> bool:
        """Whether a delta of this sign and size is what it would bring about."""
        signs = {"below": delta < 0, "above": delta > 0, "either": True}
        return signs[self.direction] and self.least <= abs(delta) <= self.most


@functools.cache
def causes() -> tuple[Cause, ...]:
    """All known causes.

    Raises:
        Refusal: a cause names an unknown stage or an empty range.
    """
    found = read_csv(PAPER / "causes.csv", Cause)
    known = {stage.protocol for stage in STAGES} | {PRETRAINING}
    for cause in found:
        if not cause.least < cause.most or not set(cause.stages.split()) <= known:
            raise Refusal(f"causes.csv: {cause.cause!r} has an unknown stage or an empty range")
    return found


def causes_of(cell: str, delta: float | None) -> list[Cause]:
    """The causes that fit a cell, and its delta where there is one, the most specific (narrowest range) first."""
    stage = stage_of(cell)
    name = stage.protocol if stage else PRETRAINING
    fitting = [cause for cause in causes() if name in cause.stages.split() and (delta is None or cause.explains(delta))]
    return sorted(fitting, key=lambda cause: cause.most - cause.least)
