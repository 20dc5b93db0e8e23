"""Charts as inline SVG: every series has its own dash and a printed name beside its colour."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from results.report.axes import Scale, range_from_zero, short
from results.report.html import Markup, element

# Okabe and Ito's palette, told apart with any colour vision; without its yellow, which is too faint on paper.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 2", "12 4")
MAX_POINTS = 300


@dataclass(frozen=True)
class Series:
    """Points of one line in the order of x, with the name that the legend prints."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


def swatch(index: int) -> Markup:
    """The line style of the series with this index, for a legend."""
    line = element("line", x1=1, y1=6, x2=27, y2=6, **_stroke(index))
    return element("svg", line, width=28, height=12, viewBox="0 0 28 12", class_="swatch", aria_hidden="true")


def line_chart(
    title: str, series: Sequence[Series], *, x_label: str, note: str = "", reference: float | None = None,
    logarithmic: bool = False,
) -> Markup:  # fmt: skip
    """A small line chart with a title, light rules from zero up, and the last value of each line printed at its end.

    Series without points are left out but keep their style, so one run looks alike in every chart. `reference` draws a
    dashed rule; `logarithmic` allows a logarithmic scale where positive values span more than two decades.
    """
    width, height, left, right, top, bottom = 340, 210, 46, 44, 12, 34
    drawn = [(index, thinned(line)) for index, line in enumerate(series) if line.x]
    xs = [x for _, line in drawn for x in line.x]
    ys = [y for _, line in drawn for y in line.y]
    spread = logarithmic and min(ys) > 0 and max(ys) / min(ys) > 100
    low, high = (min(ys), max(ys)) if spread else range_from_zero([*ys, *([] if reference is None else [reference])])
    x_scale = Scale(min(xs), max(xs), left, width - right)
    y_scale = Scale(low, high, height - bottom, top, logarithmic=spread)
    parts = [*_grid(x_scale, y_scale, width - right, height - bottom, x_label)]
    if reference is not None:
        y = y_scale(reference)
        parts.append(element("line", x1=left, x2=width - right, y1=y, y2=y, class_="reference"))
    parts += [_polyline(line, index, x_scale, y_scale) for index, line in drawn]
    parts += _end_labels(drawn, x_scale, y_scale)
    described = f"{title}: " + "; ".join(f"{line.name} ends at {short(line.y[-1])}" for _, line in drawn)
    chart = element("svg", *parts, viewBox=f"0 0 {width} {height}", role="img", aria_label=described, class_="chart")
    extra = " (logarithmic)" if spread else ""
    return element("figure", element("figcaption", title + extra, _small(note)), chart, class_="panel")


def bar_rows(rows: Sequence[tuple[str, Sequence[tuple[int, float]]]], *, maximum: float, unit: str) -> Markup:
    """Horizontal dots on a common scale from 0 to `maximum`: one row for each name, one dot for each (style, value)."""
    width, left, right, step = 340, 108, 16, 20
    height = step * len(rows) + 28
    scale = Scale(0.0, maximum, left, width - right)
    parts: list[Markup] = []
    for tick in scale.ticks(4):
        parts.append(element("line", x1=scale(tick), x2=scale(tick), y1=4, y2=height - 22, class_="grid"))
        parts.append(element("text", short(tick), x=scale(tick), y=height - 8, class_="tick", text_anchor="middle"))
    for index, (name, dots) in enumerate(rows):
        y = step * index + 14.0
        parts.append(element("text", _clipped(name, 18), x=left - 8, y=y + 4, class_="tick", text_anchor="end"))
        values = [value for _, value in dots]
        if len(values) > 1:
            parts.append(element("line", x1=scale(min(values)), x2=scale(max(values)), y1=y, y2=y, class_="span"))
        parts += [mark(style, scale(value), y) for style, value in dots]
    described = "; ".join(f"{name} {', '.join(f'{v:.1f}' for _, v in dots)}" for name, dots in rows)
    return element(
        "svg", *parts, viewBox=f"0 0 {width} {height}", role="img", aria_label=f"{described} ({unit})", class_="chart"
    )


def mark(style: int, x: float, y: float, size: float = 5.0) -> Markup:
    """A filled circle, square, diamond or triangle: shape as well as colour tells the series."""
    colour = COLOURS[style % len(COLOURS)]
    shape = style % 4
    if shape == 0:
        return element("circle", cx=x, cy=y, r=size, fill=colour)
    if shape == 1:
        return element("rect", x=x - size + 1, y=y - size + 1, width=2 * size - 2, height=2 * size - 2, fill=colour)
    corners = {
        2: ((0, -size - 1), (size + 1, 0), (0, size + 1), (-size - 1, 0)),
        3: ((0, -size), (size, size - 1), (-size, size - 1)),
    }[shape]
    return element("polygon", points=" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners), fill=colour)


def thinned(series: Series) -> Series:
    """At most `MAX_POINTS` points: means over equal stretches, so that noise is drawn calmly and files stay small."""
    n = len(series.x)
    if n <= MAX_POINTS:
        return series
    edges = [round(index * n / MAX_POINTS) for index in range(MAX_POINTS + 1)]
    pieces = [slice(low, high) for low, high in itertools.pairwise(edges)]
    x = tuple(_mean(series.x[piece]) for piece in pieces)
    return Series(series.name, x, tuple(_mean(series.y[piece]) for piece in pieces))


def _grid(x_scale: Scale, y_scale: Scale, right: float, bottom: float, x_label: str) -> list[Markup]:
    parts: list[Markup] = []
    for tick in y_scale.ticks():
        y = y_scale(tick)
        parts.append(element("line", x1=x_scale.start, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(element("text", short(tick), x=x_scale.start - 6, y=y + 4, class_="tick", text_anchor="end"))
    for tick in x_scale.ticks():
        parts.append(element("text", short(tick), x=x_scale(tick), y=bottom + 15, class_="tick", text_anchor="middle"))
    middle = (x_scale.start + x_scale.end) / 2
    parts.append(element("text", x_label, x=middle, y=bottom + 29, class_="label", text_anchor="middle"))
    return parts


def _polyline(line: Series, index: int, x_scale: Scale, y_scale: Scale) -> Markup:
    if len(line.x) == 1:
        return mark(index, x_scale(line.x[0]), y_scale(line.y[0]), 3.5)
    points = " ".join(f"{x_scale(x):.1f},{y_scale(y):.1f}" for x, y in zip(line.x, line.y, strict=True))
    return element("polyline", points=points, fill="none", **_stroke(index))


def _end_labels(drawn: Sequence[tuple[int, Series]], x_scale: Scale, y_scale: Scale) -> list[Markup]:
    """The last values, pushed apart where lines end close together."""
    placed: list[Markup] = []
    lowest, floor = -1e9, y_scale.start - 2
    for index, line in sorted(drawn, key=lambda item: y_scale(item[1].y[-1])):
        y = max(min(y_scale(line.y[-1]) + 4, floor), lowest + 11)
        lowest = y
        x, colour = x_scale(line.x[-1]) + 4, COLOURS[index % len(COLOURS)]
        placed.append(element("text", short(line.y[-1]), x=x, y=y, class_="tick value", fill=colour))
    return placed


def _stroke(index: int) -> dict[str, str | float | None]:
    dash = DASHES[index % len(DASHES)]
    return {"stroke": COLOURS[index % len(COLOURS)], "stroke_width": 1.8, "stroke_dasharray": dash or None}


def _small(note: str) -> Markup | None:
    return element("small", note) if note else None


def _clipped(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
