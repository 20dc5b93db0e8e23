"""The comparison arranged for readers: tables of short texts, the same for the terminal, markdown, LaTeX and HTML."""

from dataclasses import dataclass

from results.against import Duel
from results.compare import SYMBOLS, Comparison, Line
from results.expectations import DigitsLine
from results.groups import Group
from results.rows import Source, Sources, cell_title
from results.statistics import Summary
from results.tables import METHOD, TITLES

PAPER_HEADINGS = ("cell", "paper", "ours", "n", "sd", "95 % CI", "delta", "±tol", "verdict", "by")
DIGITS_HEADINGS = ("cell", "expected", "ours", "n", "sd", "95 % CI", "control", "gain", "verdict", "by")
DUEL_HEADINGS = ("cell", "images", "ours", "theirs", "difference", "95 % CI", "p", "verdict", "by")
DIGITS_TITLE = "Digits corpus (360 held-out handwritten digits): not comparable with the paper"


@dataclass(frozen=True)
class Entry:
    """One line of a table: its texts under the headings, its verdict, and a remark set below it."""

    texts: tuple[str, ...]
    verdict: str
    remark: str
    cell: str


@dataclass(frozen=True)
class Table:
    """A titled table ready to be set."""

    title: str
    headings: tuple[str, ...]
    entries: tuple[Entry, ...]


def arrange(comparison: Comparison) -> tuple[list[Table], list[Source]]:
    """The paper's tables in its order, then the digits where there are any, and the sources their letters mean."""
    sources = Sources()
    tables = []
    for table, title in TITLES.items():
        lines = [line for line in comparison.lines if line.target.table == table]
        tables.append(Table(title, PAPER_HEADINGS, tuple(_paper_entry(line, sources) for line in lines)))
    if comparison.duels:
        theirs = comparison.duels[0].theirs.checkpoint
        title = f"{METHOD} against {theirs.label} ({theirs.sha256[:12]}): paired bootstrap over images"
        tables.append(Table(title, DUEL_HEADINGS, tuple(_duel_entry(duel) for duel in comparison.duels)))
    if comparison.digits:
        entries = tuple(_digits_entry(line, sources) for line in comparison.digits)
        tables.append(Table(DIGITS_TITLE, DIGITS_HEADINGS, entries))
    return tables, sources.all()


def counts(comparison: Comparison) -> dict[str, int]:
    """How many lines of the paper's tables have each verdict, in the order of `SYMBOLS`."""
    verdicts = [line.verdict for line in comparison.lines]
    return {verdict: verdicts.count(verdict) for verdict in SYMBOLS}


def headline(comparison: Comparison) -> str:
    """The result in one sentence."""
    found = counts(comparison)
    words = [f"{number} {verdict}" for verdict, number in found.items() if number]
    digits = [line.verdict for line in comparison.digits]
    text = f"Paper: {', '.join(words)} of {sum(found.values())} lines."
    judged = [verdict for verdict in digits if verdict in ("within", "below")]
    if judged:
        text += f" Digits: {judged.count('within')} of {len(judged)} expectations met"
        undecided = sum(line.verdict == "not run" and line.expectation is not None for line in comparison.digits)
        text += f", {undecided} undecided." if undecided else "."
    return text


def verdict_text(verdict: str) -> str:
    """The verdict with its symbol, so that colour is never needed to read it."""
    return f"{SYMBOLS[verdict]} {verdict}"  # type: ignore[index]


def _paper_entry(line: Line, sources: Sources) -> Entry:
    own = line.row == line.target.row
    name = cell_title(line.target.cell) if own else f"  {line.row}"
    remark = line.reason
    if line.later is not None:
        remark = f"the later version prints {line.later:.1f}" + (f"; {remark}" if remark else "")
    texts = (
        name,
        f"{line.number.value:.1f}" if line.number else "–",
        *_summary_texts(line.ours),
        f"{line.delta:+.2f}" if line.delta is not None else "",
        f"{line.tolerance:.2f}",
        verdict_text(line.verdict),
        _letter(line.group, sources),
    )
    return Entry(texts, line.verdict, remark, line.target.cell)


def _digits_entry(line: DigitsLine, sources: Sources) -> Entry:
    expectation, measured = line.expectation, line.group or line.control
    assert measured is not None
    texts = (
        f"{cell_title(line.cell)}" if line.group is None or line.group.label == "VICReg" else f"  {line.group.label}",
        f"≥ {expectation.at_least:g}, +{expectation.control_gap:g}" if expectation else "",
        *_summary_texts(line.group.summary if line.group else None),
        f"{line.control.summary.mean:.1f}" if line.control else "",
        f"{line.gain:+.1f}" if line.gain is not None else "",
        verdict_text(line.verdict),
        _letter(line.group, sources),
    )
    return Entry(texts, line.verdict, line.reason, line.cell)


def _duel_entry(duel: Duel) -> Entry:
    name = cell_title(duel.cell) + (" (digits)" if duel.corpus == "digits" else "")
    values = (f"{duel.ours.measurement.value:.2f}", f"{duel.theirs.measurement.value:.2f}")
    found = duel.difference
    if found is None:
        return Entry((name, "", *values, "", "", "", "", ""), "not run", duel.reason, duel.cell)
    low, high = found.interval
    reading = "▲ higher" if low > 0 else "▼ lower" if high < 0 else "= no telling"
    smallest = f"{found.p_value:.3f}" if found.p_value >= 0.001 else "<.001"
    interval = f"{low:+.2f}…{high:+.2f}"
    texts = (name, str(found.images), *values, f"{found.difference:+.2f}", interval, smallest, reading, "")
    return Entry(texts, "no claim", "", duel.cell)


def _summary_texts(summary: Summary | None) -> tuple[str, str, str, str]:
    if summary is None:
        return "", "", "", ""
    spread = "" if summary.deviation is None else f"{summary.deviation:.2f}"
    interval = "" if summary.interval is None else f"{summary.interval[0]:.2f}–{summary.interval[1]:.2f}"
    return f"{summary.mean:.2f}", str(summary.n), spread, interval


def _letter(group: Group | None, sources: Sources) -> str:
    source = sources.of(group)
    return source.letter if source else ""
