"""A closer look at the measurements: by class, by number of neighbours, by epoch; every checkpoint in its own style."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from results.expectations import CONTROLS
from results.groups import Group, group_records
from results.predictions import Predictions, read_predictions
from results.records import Record
from results.refusal import Refusal
from results.report.charts import Series, bar_rows, line_chart, mark
from results.report.html import Markup, element
from results.rows import cell_title
from results.tables import METHOD, targets

MOST_CLASSES = 24
MOST_CHECKPOINTS = 6
CLASS_CELLS = ("table1/linear/top1", "table1/semi_1pct/top1", "table1/semi_10pct/top1", "table5/knn_20/top1")
CURVES = ("by_epoch", "top1_by_epoch")


@dataclass(frozen=True)
class Measured:
    """One measurement to draw: its record and the style its checkpoint has in every chart."""

    record: Record
    style: int

    @property
    def details(self) -> Mapping[str, Any]:
        """The record's other numbers."""
        return self.record.measurement.details


def closer_section(records: Sequence[Record], folder: Path) -> tuple[Markup | None, list[str]]:
    """The section, or None when no record has anything to draw, and a warning for each file that could not be read."""
    found = dict.fromkeys((record.checkpoint.label, record.checkpoint.sha256) for record in records)
    # The method first and in the first style, controls last, whatever the records' file names are.
    checkpoints = sorted(found, key=lambda one: (one[0] in CONTROLS, one[0] != METHOD, one))[:MOST_CHECKPOINTS]
    shown = [_newest(group) for group in group_records(records)]
    measured = [
        Measured(record, checkpoints.index((record.checkpoint.label, record.checkpoint.sha256)))
        for record in shown
        if (record.checkpoint.label, record.checkpoint.sha256) in checkpoints
    ]
    warnings: list[str] = []
    panels: list[Markup] = []
    for corpus in sorted({one.record.dataset.corpus for one in measured}):
        here = [one for one in measured if one.record.dataset.corpus == corpus]
        panels += [*_class_panels(here, folder, warnings), *_neighbour_panels(here), *_epoch_panels(here)]
    if not panels:
        return None, warnings
    legend = [
        element("li", _symbol(style), f" {label} {sha256[:8]}") for style, (label, sha256) in enumerate(checkpoints)
    ]
    return element(
        "section", element("h2", "A closer look"), element("ul", *legend, class_="runs"),
        element("div", *panels, class_="panels"), id="closer",
    ), warnings  # fmt: skip


def accuracy_by_class(predictions: Predictions) -> dict[str, float] | None:
    """Per cent of rightly classified images for each class, by its folder's name or number; None without labels."""
    if predictions.labels is None:
        return None
    found = {}
    for label in np.unique(predictions.labels):
        chosen = predictions.labels == label
        name = str(int(label))
        if predictions.images is not None:
            first = predictions.images[int(np.argmax(chosen))]
            name = (first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)).split("/")[0]
        found[name] = 100 * float(predictions.correct[chosen].mean())
    return found


def _class_panels(measured: Sequence[Measured], folder: Path, warnings: list[str]) -> list[Markup]:
    panels = []
    for cell in targets():
        here = [one for one in measured if one.record.cell == cell]
        by_style: dict[int, dict[str, float]] = {}
        for one in here:
            classes = _classes(one, folder, warnings)
            if classes:
                by_style[one.style] = classes
        if by_style:
            panels.append(_class_panel(f"{cell_title(cell)} by class", by_style, here[0].record))
    return panels


def _classes(one: Measured, folder: Path, warnings: list[str]) -> dict[str, float] | None:
    if "ap_by_class" in one.details:
        return {str(name): float(value) for name, value in one.details["ap_by_class"].items()}
    if one.record.cell not in CLASS_CELLS:
        return None
    try:
        predictions = read_predictions(one.record, folder)
    except Refusal as refusal:
        warnings.append(str(refusal))
        return None
    return accuracy_by_class(predictions) if predictions else None


def _class_panel(title: str, by_style: Mapping[int, Mapping[str, float]], record: Record) -> Markup:
    names = list(dict.fromkeys(name for classes in by_style.values() for name in classes))
    if len(names) <= MOST_CLASSES:
        rows = [(name, [(s, classes[name]) for s, classes in by_style.items() if name in classes]) for name in names]
        chart = bar_rows(rows, maximum=100.0, unit="%")
        return _panel(title, f"per cent; {record.measurement.sample_count} images, {record.dataset.corpus} data", chart)
    length = max(by_style) + 1
    series = [_quantiles(by_style.get(style, {})) for style in range(length)]
    return line_chart(
        title, series, x_label="share of the classes, worst first", note=f"{len(names)} classes, per cent"
    )


def _quantiles(classes: Mapping[str, float]) -> Series:
    values = tuple(sorted(classes.values()))
    return Series("", tuple((index + 0.5) / len(values) for index in range(len(values))), values)


def _neighbour_panels(measured: Sequence[Measured]) -> list[Markup]:
    rows: dict[str, list[tuple[int, float]]] = {}
    for one in measured:
        if one.record.cell != "table5/knn_20/top1":
            continue
        for vote in one.details.get("votes", ()):
            weights = str(vote["weights"]).removeprefix("exp(cosine / ").removesuffix(")")
            name = f"k {vote['k']}, {'equal' if weights == 'equal' else 'T ' + weights}"
            rows.setdefault(name, []).append((one.style, float(vote["top1"])))
    if not rows:
        return []
    chart = bar_rows(list(rows.items()), maximum=100.0, unit="%")
    return [_panel("Nearest neighbours", "top-1 by number of neighbours and weight exp(cosine / T)", chart)]


def _epoch_panels(measured: Sequence[Measured]) -> list[Markup]:
    panels = []
    for cell in targets():
        here = [one for one in measured if one.record.cell == cell and len(_curve(one)) > 1]
        if not here or cell.endswith("top5"):
            continue
        series = [Series("", (), ())] * (max(one.style for one in here) + 1)
        for one in here:
            values = _curve(one)
            name = one.record.checkpoint.label
            series[one.style] = Series(name, tuple(float(i + 1) for i in range(len(values))), values)
        corpus = here[0].record.dataset.corpus
        panels.append(line_chart(f"{cell_title(cell)} by epoch", series, x_label="epoch", note=f"%, {corpus} data"))
    return panels


def _curve(one: Measured) -> tuple[float, ...]:
    curve = next((one.details[key] for key in CURVES if key in one.details), ())
    if isinstance(curve, Mapping):
        curve = curve.get(one.details.get("cell_head", ""), ())
    return tuple(float(value) for value in curve)


def _newest(group: Group) -> Record:
    return max(group.records, key=lambda record: record.created)


def _panel(title: str, note: str, chart: Markup) -> Markup:
    return element("figure", element("figcaption", title, element("small", note)), chart, class_="panel")


def _symbol(style: int) -> Markup:
    return element("svg", mark(style, 8, 7), width=16, height=14, viewBox="0 0 16 14", aria_hidden="true")
