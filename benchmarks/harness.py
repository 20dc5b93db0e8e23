"""Measuring two ways of doing one thing against each other: in turns, in one process, with their spread."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

Work = Callable[[], object]
Clock = Callable[[], float]

cpu_seconds: Clock = time.process_time
"""What a row on one core is timed with: the wall seconds of an idle machine, on a busy one too. Several threads would
add up and a wait would not count, so rows that have either take `wall_seconds`."""
wall_seconds: Clock = time.perf_counter


@dataclass(frozen=True)
class Timing:
    """Seconds of one side: the median and the extremes of `count` samples."""

    median: float
    lowest: float
    highest: float
    count: int


@dataclass(frozen=True)
class Outcome:
    """What a row measured: a value in the row's unit with the extremes over rounds, and what it was made of."""

    value: float
    lowest: float
    highest: float
    ours: str
    baseline: str
    details: dict[str, Any] = field(default_factory=dict)


def timing(seconds: list[float]) -> Timing:
    """Median and extremes of some samples."""
    return Timing(median(seconds), min(seconds), max(seconds), len(seconds))


def timed(work: Work, clock: Clock) -> float:
    """Seconds that one call of `work` takes."""
    start = clock()
    work()
    return clock() - start


def in_turns(
    ours: Work,
    baseline: Work,
    *,
    rounds: int,
    repeats: int = 1,
    warm_up: int = 1,
    clock: Clock = cpu_seconds,
) -> tuple[list[list[float]], list[list[float]]]:
    """Samples of both sides, round by round: `repeats` of ours, one of the baseline, in alternating order.

    What disturbs the machine for longer than a round disturbs both sides of it, and so not their ratio; changing the
    order cancels what the one leaves in caches and clocks for the other.
    """
    for _ in range(warm_up):
        ours()
        baseline()
    of_ours: list[list[float]] = []
    of_baseline: list[list[float]] = []
    for number in range(rounds):
        for turn in ("ours", "baseline") if number % 2 == 0 else ("baseline", "ours"):
            if turn == "ours":
                of_ours.append([timed(ours, clock) for _ in range(repeats)])
            else:
                of_baseline.append([timed(baseline, clock)])
    return of_ours, of_baseline


def times_faster(ours: list[list[float]], baseline: list[list[float]], **details: Any) -> Outcome:
    """Each round's ratio of medians, baseline over ours; the value is the median round."""
    ratios = [median(theirs) / median(mine) for mine, theirs in zip(ours, baseline, strict=True)]
    return _outcome(ratios, ours, baseline, details)


def share(ours: list[list[float]], baseline: list[list[float]], **details: Any) -> Outcome:
    """Each round's ratio of medians, ours over the baseline; the value is the median round."""
    ratios = [median(mine) / median(theirs) for mine, theirs in zip(ours, baseline, strict=True)]
    return _outcome(ratios, ours, baseline, details)


def seconds(samples: list[float], **details: Any) -> Outcome:
    """A plain duration, with nothing beside it."""
    found = timing(samples)
    return Outcome(found.median, found.lowest, found.highest, described(found), "", details | {"ours": asdict(found)})


def compared(
    ours: Work,
    baseline: Work,
    *,
    rounds: int,
    repeats: int = 1,
    warm_up: int = 1,
    clock: Clock = cpu_seconds,
    **details: Any,
) -> Outcome:
    """`in_turns`, on one core unless a clock is given, then `times_faster`: what most rows are."""
    samples = in_turns(ours, baseline, rounds=rounds, repeats=repeats, warm_up=warm_up, clock=clock)
    return times_faster(*samples, **details)


def described(found: Timing) -> str:
    """`found` for a table: median and extremes with a fitting unit."""
    factor, unit = (1.0, "s") if found.median >= 1 else (1e3, "ms")
    median_, lowest, highest = (f"{value * factor:.3g}" for value in (found.median, found.lowest, found.highest))
    return f"{median_} {unit} ({lowest} to {highest}, n={found.count})"


def _outcome(
    ratios: list[float], ours: list[list[float]], baseline: list[list[float]], details: dict[str, Any]
) -> Outcome:
    mine, theirs = (timing([sample for rnd in side for sample in rnd]) for side in (ours, baseline))
    kept = details | {"ours": asdict(mine), "baseline": asdict(theirs), "ratio_of_each_round": ratios}
    return Outcome(median(ratios), min(ratios), max(ratios), described(mine), described(theirs), kept)
