"""The comparison as HTML tables, with a small drawing of each difference beside its number."""

from results.arranged import verdict_text
from results.compare import MEANINGS, Comparison, Line
from results.expectations import DigitsLine
from results.groups import Group
from results.report.html import Markup, element
from results.rows import Sources, cell_title
from results.tables import TITLES, tolerances

WIDE = "wide"  # columns that a narrow screen leaves out
SPAN_IN_TOLERANCES = 4.0


def paper_section(comparison: Comparison, sources: Sources) -> Markup:
    """Every table of the paper; a table nothing of which was measured is folded, but complete."""
    parts: list[Markup] = []
    for table, title in TITLES.items():
        lines = [line for line in comparison.lines if line.target.table == table]
        measured = sum(line.group is not None for line in lines)
        state = f"{measured} measured, {sum(line.verdict == 'not run' for line in lines)} not run"
        summary = element("summary", element("h3", title), element("span", state, class_="muted"))
        parts.append(element("details", summary, _paper_table(lines, sources), open_="open" if measured else None))
    return element("section", element("h2", "The paper's tables"), _legend(), *parts, id="paper")


def digits_section(comparison: Comparison, sources: Sources) -> Markup | None:
    """The digits corpus, fenced off from the paper; None when nothing was measured on it."""
    if not comparison.digits:
        return None
    columns = [("cell", ""), ("expected", WIDE), ("ours", "number"), ("n", WIDE), ("control", "number")]
    columns += [("0 to 100", WIDE), ("gain", "number"), ("verdict", ""), ("by", "")]
    head = element("tr", *(element("th", text, class_=name or None) for text, name in columns))
    rows = [_digits_row(line, sources) for line in comparison.digits]
    warning = element(
        "p", element("strong", "Not comparable with the paper. "),
        "The same code at a small size on scikit-learn's handwritten digits: 1,437 images to train on, 360 held out. "
        "What is expected here was fixed beforehand, and the control is the network as pretraining starts from it.",
        class_="fence",
    )  # fmt: skip
    table = element("table", element("thead", head), element("tbody", *rows))
    return element("section", element("h2", "Digits"), warning, _scroll(table), id="digits")


def sources_section(sources: Sources) -> Markup | None:
    """What the letters in the column "by" mean; call it when all tables are set. None without any."""
    items = [element("li", source.sentence()) for source in sources.all()]
    title = element("h3", "by: the checkpoint and protocol behind each number")
    return element("section", title, element("ul", *items, class_="sources"), id="by") if items else None


def verdict_badge(verdict: str) -> Markup:
    """Symbol and word on a tinted ground."""
    return element("span", verdict_text(verdict), class_=f"badge {verdict.replace(' ', '-')}", title=MEANINGS[verdict])  # type: ignore[index]


def _paper_table(lines: list[Line], sources: Sources) -> Markup:
    columns = [("cell", ""), ("paper", "number"), ("ours", "number"), ("n", WIDE), ("sd", WIDE), ("95 %", WIDE)]
    columns += [("delta", "number"), ("in tolerances", WIDE), ("± tol.", WIDE), ("verdict", ""), ("by", "")]
    head = element("tr", *(element("th", text, class_=name or None) for text, name in columns))
    rows = [row for line in lines for row in _paper_rows(line, sources)]
    return _scroll(element("table", element("thead", head), element("tbody", *rows)))


def _paper_rows(line: Line, sources: Sources) -> list[Markup]:
    own = line.row == line.target.row
    name = cell_title(line.target.cell) if own else f"· {line.row}"
    ours, tolerance = line.ours, tolerances()[line.target.cell]
    cells = [
        element("td", name, title=line.number.read_at if line.number else None, class_="name" if own else "name other"),
        _number(f"{line.number.value:.1f}" if line.number else "–"),
        _number(f"{ours.mean:.2f}" if ours else ""),
        _wide(str(ours.n) if ours else ""),
        _wide(f"{ours.deviation:.2f}" if ours and ours.deviation is not None else ""),
        _wide(f"{ours.interval[0]:.2f}–{ours.interval[1]:.2f}" if ours and ours.interval else ""),
        _number(f"{line.delta:+.2f}" if line.delta is not None else ""),
        element("td", _delta_drawing(line), class_=WIDE),
        element("td", f"{line.tolerance:.2f}", class_=f"number {WIDE}", title=f"{tolerance.basis}: {tolerance.reason}"),
        element("td", verdict_badge(line.verdict)),
        element("td", _letter(line.group, sources)),
    ]
    rows = [element("tr", *cells, class_=line.verdict.replace(" ", "-"))]
    remarks = [line.reason] if line.reason else []
    if line.later is not None:
        remarks.append(f"the later version prints {line.later:.1f}")
    if line.number is not None and line.number.note:
        remarks.append(line.number.note)
    if remarks:
        rows.append(element("tr", element("td", "; ".join(remarks), colspan=11), class_="remark"))
    return rows


def _delta_drawing(line: Line) -> Markup | None:
    """The difference in units of the tolerance: the band is what counts as equal, the bar the interval of the mean."""
    if line.delta is None or line.ours is None or line.number is None:
        return None
    middle, unit = 60.0, 54.0 / SPAN_IN_TOLERANCES

    def at(value: float) -> float:
        scaled = value / line.tolerance
        return middle + unit * max(-SPAN_IN_TOLERANCES, min(SPAN_IN_TOLERANCES, scaled))

    parts = [
        element("rect", x=middle - unit, y=2, width=2 * unit, height=14, class_="band"),
        element("line", x1=middle, x2=middle, y1=1, y2=17, class_="grid"),
    ]
    if line.ours.interval:
        low, high = (end - line.number.value for end in line.ours.interval)
        parts.append(element("line", x1=at(low), x2=at(high), y1=9, y2=9, class_="span"))
    beyond = abs(line.delta) > SPAN_IN_TOLERANCES * line.tolerance
    x = at(line.delta)
    if beyond:
        tip = x + (4 if line.delta > 0 else -4)
        parts.append(element("polygon", points=f"{tip:.1f},9 {x:.1f},4 {x:.1f},14", class_="dot"))
    else:
        parts.append(element("circle", cx=x, cy=9, r=4, class_="dot"))
    label = f"{line.delta:+.2f}, {abs(line.delta) / line.tolerance:.1f} tolerances"
    return element("svg", *parts, viewBox="0 0 120 18", width=120, height=18, role="img", aria_label=label)


def _digits_row(line: DigitsLine, sources: Sources) -> Markup:
    group, control, expectation = line.group, line.control, line.expectation
    label = group.label if group else control.label if control else ""
    expected = f"≥ {expectation.at_least:g}, {expectation.control_gap:g} above control" if expectation else ""
    return element(
        "tr",
        element("td", cell_title(line.cell), element("small", f" {label}", class_="muted"), class_="name"),
        _wide(expected),
        _number(f"{group.summary.mean:.1f}" if group else ""),
        _wide(str(group.summary.n) if group else ""),
        _number(f"{control.summary.mean:.1f}" if control else ""),
        element("td", _digits_drawing(line), class_=WIDE),
        _number(f"{line.gain:+.1f}" if line.gain is not None else ""),
        element(
            "td", verdict_badge(line.verdict), element("small", line.reason, class_="muted") if line.reason else None
        ),
        element("td", _letter(group, sources)),
        class_=line.verdict.replace(" ", "-"),
    )


def _digits_drawing(line: DigitsLine) -> Markup:
    """From the control (open square) to ours (dot) on 0 to 100, with the expected value as an upright stroke."""
    parts = [element("line", x1=5, x2=125, y1=9, y2=9, class_="grid")]
    group, control = line.group, line.control
    if group and control:
        ends = (5 + 1.2 * control.summary.mean, 5 + 1.2 * group.summary.mean)
        parts.append(element("line", x1=ends[0], x2=ends[1], y1=9, y2=9, class_="gain"))
    if line.expectation:
        x = 5 + 1.2 * line.expectation.at_least
        parts.append(element("line", x1=x, x2=x, y1=2, y2=16, class_="goal"))
    if control:
        x = 5 + 1.2 * control.summary.mean
        parts.append(element("rect", x=x - 3.5, y=5.5, width=7, height=7, class_="control"))
    if group:
        parts.append(element("circle", cx=5 + 1.2 * group.summary.mean, cy=9, r=4.5, class_="dot"))
    return element("svg", *parts, viewBox="0 0 130 18", width=130, height=18, role="img", aria_label="control and ours")


def _legend() -> Markup:
    items = [element("li", verdict_badge(verdict), f" {meaning}") for verdict, meaning in MEANINGS.items()]
    return element("ul", *items, class_="legend")


def _letter(group: Group | None, sources: Sources) -> str:
    source = sources.of(group)
    return source.letter if source else ""


def _number(text: str) -> Markup:
    return element("td", text, class_="number")


def _wide(text: str) -> Markup:
    return element("td", text, class_=f"number {WIDE}")


def _scroll(table: Markup) -> Markup:
    return element("div", table, class_="scroll")
