"""What VISSL writes while it trains, read back: its progress lines, its metrics file, the images it could not read."""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from data.decode import ImageError
from results import json_lines
from results.records import Measurement
from results.refusal import Refusal
from transfer.protocols import LinearProtocol

METRICS_FILE = "metrics.json"
_ITERATION = re.compile(r"\biter: (\d+); ")
_UNREADABLE = re.compile(r"Couldn't load: (.+)\. Exception")


@dataclass(frozen=True)
class EpochMetrics:
    """Validation accuracy after one epoch in percent, by head: {"res5avg": {"top1": 61.0, "top5": 88.0}, ...}."""

    epoch: int
    heads: Mapping[str, Mapping[str, float]]


def iterations(lines: Iterable[str], total: int) -> Iterator[int]:
    """Yield every finished training iteration once, from VISSL's log lines, which come every few iterations.

    A resumed run starts where its first line says. Whatever the log left out is yielded at its end.
    """
    done = 0
    for line in lines:
        if found := _ITERATION.search(line):
            reached = min(int(found.group(1)), total)
            yield from range(done, reached)
            done = max(done, reached)
    yield from range(done, total)


def refusing_unreadable(lines: Generator[str, None, None]) -> Iterator[str]:
    """The lines of VISSL's log; the first image that VISSL could not read ends the run that writes them.

    VISSL itself would go on with a grey square in its place, which makes another number.

    Raises:
        ImageError: naming that image.
    """
    with closing(lines):
        for line in lines:
            if found := _UNREADABLE.search(line):
                raise ImageError(f"{found.group(1)}: VISSL cannot decode it, and no image may be missing; restore it")
            yield line


def unreadable_images(log: Path) -> list[str]:
    """The images, sorted, that VISSL could not read in any session of `log`; it took grey squares instead."""
    if not log.exists():
        return []
    with log.open(encoding="utf-8", errors="replace") as lines:
        return sorted({found.group(1) for line in lines if (found := _UNREADABLE.search(line))})


def read_metrics(folder: Path) -> list[EpochMetrics]:
    """Validation metrics of each epoch, in order; an epoch that was repeated after a restart counts once, the last."""
    found: dict[int, EpochMetrics] = {}
    # What a killed process was writing is no line, and no other line is ever half right.
    for entry in json_lines.read(folder / METRICS_FILE)[0]:
        with suppress(KeyError, TypeError, ValueError, AttributeError, OverflowError):
            epoch = int(entry["train_phase_idx"]) + 1
            found[epoch] = EpochMetrics(epoch, _by_head(entry["test_accuracy_list_meter"]))
    return [found[epoch] for epoch in sorted(found)]


def measurement(protocol: LinearProtocol, epochs: list[EpochMetrics], sample_count: int, engine: str) -> Measurement:
    """The cell's number: top-1 of the declared head after the last epoch; the details carry every head and epoch.

    Raises:
        Refusal: the last epoch's metrics are missing.
    """
    if not epochs or epochs[-1].epoch != protocol.epochs:
        last = epochs[-1].epoch if epochs else 0
        raise Refusal(f"{engine} measured {last} of {protocol.epochs} epochs; start the same command again")
    curve = [epoch.heads[protocol.cell_head]["top1"] for epoch in epochs]
    return Measurement(
        cell=protocol.cell,
        value=curve[-1],
        sample_count=sample_count,
        final=curve[-1],
        best=max(curve),
        details={
            "engine": engine,
            "cell_head": protocol.cell_head,
            "heads": {head: _final_and_best(head, epochs) for head in epochs[-1].heads},
            "top1_by_epoch": {head: [epoch.heads[head]["top1"] for epoch in epochs] for head in epochs[-1].heads},
        },
    )


def _final_and_best(head: str, epochs: list[EpochMetrics]) -> dict[str, float]:
    final = epochs[-1].heads[head]
    return {
        "top1": final["top1"],
        "top5": final["top5"],
        "best_top1": max(epoch.heads[head]["top1"] for epoch in epochs),
        "best_top5": max(epoch.heads[head]["top5"] for epoch in epochs),
    }


def _by_head(meter: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    # VISSL: {"top_1": {head: value}, "top_5": {head: value}}, in percent.
    return {head: {"top1": float(top1), "top5": float(meter["top_5"][head])} for head, top1 in meter["top_1"].items()}
