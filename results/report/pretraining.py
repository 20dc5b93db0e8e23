"""Pretraining curves from `log.jsonl`: loss terms, standard deviations, correlation, rate and speed, runs overlaid."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from results import json_lines
from results.report.charts import Series, line_chart, swatch
from results.report.html import Markup, element

LOG_NAME = "log.jsonl"
MAX_RUNS = 7
KEY_OF_PRETRAINING = "invariance"
"""Probes keep logs of the same name; only pretraining's have this term."""

Point = dict[str, float]


@dataclass(frozen=True)
class PretrainingRun:
    """One run's logged metrics, in the order of their steps."""

    name: str
    points: tuple[Point, ...]

    def series(self, value: Callable[[Point], float | None]) -> Series:
        """The values over epochs, leaving out points that lack them."""
        found = [(point["epoch"], value(point)) for point in self.points]
        kept = [(epoch, y) for epoch, y in found if y is not None and math.isfinite(y)]
        return Series(self.name, tuple(epoch for epoch, _ in kept), tuple(y for _, y in kept))


@dataclass(frozen=True)
class Panel:
    """One chart: its title, a remark, and how its value is found in a logged point."""

    title: str
    note: str
    value: Callable[[Point], float | None]
    reference: float | None = None
    logarithmic: bool = False


def _mean_of(*keys: str) -> Callable[[Point], float | None]:
    def value(point: Point) -> float | None:
        found = [point[key] for key in keys if key in point]
        return sum(found) / len(found) if found else None

    return value


def _positive(key: str) -> Callable[[Point], float | None]:
    # The first line of a log has no time behind it yet, and a rate of zero.
    return lambda point: point.get(key) or None


PANELS = (
    Panel("Loss", "weighted sum of the three terms", _mean_of("loss"), logarithmic=True),
    Panel("Invariance", "mean squared distance of the views' embeddings", _mean_of("invariance")),
    Panel("Variance", "hinge on the embeddings' standard deviation", _mean_of("variance")),
    Panel("Covariance", "squared off-diagonal covariances", _mean_of("covariance"), logarithmic=True),
    Panel(
        "Standard deviation, embeddings",
        "mean over dimensions; 0 is collapse, the dashed 1 the target",
        _mean_of("embedding_std_a", "embedding_std_b"),
        reference=1.0,
    ),
    Panel(
        "Standard deviation, representations",
        "mean over dimensions and views",
        _mean_of("representation_std_a", "representation_std_b"),
    ),
    Panel("Correlation of representations", "Eq. 10, mean squared", _mean_of("representation_correlation")),
    Panel("20-NN accuracy while training", "on held-out images, %", _mean_of("knn_20")),
    Panel("Learning rate", "warm-up, then cosine", _mean_of("lr")),
    Panel("Gradient norm", "over all parameters", _mean_of("grad_norm")),
    Panel("Throughput", "images per second", _positive("images_per_second")),
    Panel("Waiting for data", "share of the time", _mean_of("data_wait_share")),
)


def find_runs(folder: Path) -> tuple[list[PretrainingRun], list[str]]:
    """Every run with a readable log below `folder`, newest first, and a warning for each log that is not readable."""
    runs, warnings = [], []
    logs = sorted(folder.rglob(LOG_NAME), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in logs:
        points, bad = read_log(path)
        if bad:
            warnings.append(f"{path}: {bad} of its lines are not metrics and were left out")
        if any(KEY_OF_PRETRAINING in point for point in points):
            name = str(path.parent.relative_to(folder)) if path.parent != folder else folder.name
            runs.append(PretrainingRun(name, tuple(points)))
    if len(runs) > MAX_RUNS:
        warnings.append(f"{len(runs)} pretraining runs below {folder}; the report overlays the newest {MAX_RUNS}")
    return runs[:MAX_RUNS], warnings


def read_log(path: Path) -> tuple[list[Point], int]:
    """The metric lines of a log, sorted by step, and how many lines could not be read.

    A step that was logged twice (a run that was killed and went on) stands as it was logged last.
    """
    points: dict[float, Point] = {}
    lines, bad = json_lines.read(path)
    for content in lines:
        if "event" in content:
            continue
        try:
            point = {key: float(value) for key, value in content.items() if isinstance(value, int | float)}
            points[point["step"]] = {**point, "epoch": point["epoch"]}
        except (KeyError, OverflowError):
            bad += 1
    return [points[step] for step in sorted(points)], bad


def pretraining_section(runs: Sequence[PretrainingRun]) -> Markup | None:
    """All panels for which some run logged values, with one legend; None without runs."""
    if not runs:
        return None
    legend = [
        element("li", swatch(index), f" {run.name}, {run.points[-1]['epoch']:.3g} epochs", _final(run))
        for index, run in enumerate(runs)
    ]
    panels: list[Markup] = []
    for panel in PANELS:
        series = [run.series(panel.value) for run in runs]
        if any(line.x for line in series):
            panels.append(
                line_chart(
                    panel.title,
                    series,
                    x_label="epoch",
                    note=panel.note,
                    reference=panel.reference,
                    logarithmic=panel.logarithmic,
                )
            )
    return element(
        "section", element("h2", "Pretraining"), element("ul", *legend, class_="runs"),
        element("div", *panels, class_="panels"), id="pretraining",
    )  # fmt: skip


def _final(run: PretrainingRun) -> str:
    last = run.points[-1]
    memory = last.get("peak_memory_bytes")
    words = [f"loss {last['loss']:.3g}"] if "loss" in last else []
    words += [f"peak memory {memory / 2**30:.1f} GiB"] if memory else []
    return ": " + ", ".join(words) if words else ""
