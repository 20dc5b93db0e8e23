"""Is the measured number close enough to the paper's? Groups of records are judged cell by cell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from results.against import Duel
from results.counting import why_not_counted
from results.expectations import DigitsLine, judge_digits
from results.groups import Group, group_records
from results.records import Record
from results.statistics import Summary
from results.tables import PaperNumber, comparable_number, later_numbers, method_of, targets, tolerances

Verdict = Literal["within", "below", "above", "deviates", "not run", "no claim"]

SYMBOLS: dict[Verdict, str] = {
    "within": "✓",
    "below": "▼",
    "above": "▲",
    "deviates": "≠",
    "not run": "·",
    "no claim": "○",
}
MEANINGS: dict[Verdict, str] = {
    "within": "as close to the paper's number as the tolerance asks",
    "below": "lower than the paper's number by more than the tolerance",
    "above": "higher than the paper's number by more than the tolerance",
    "deviates": "measured with other settings, or on a part of the data, and therefore never counted",
    "not run": "no record",
    "no claim": "measured, and the paper prints no number that it could meet (a control)",
}
MISSES = ("below", "above")


@dataclass(frozen=True)
class Line:
    """One line of the comparison: a row of the paper in a cell, and one checkpoint's measurements of it by a protocol.

    `number` is the paper's, None for a row it does not print; `ours` and `delta` are None when nothing was measured.
    `reason` says why a line does not count.
    """

    target: PaperNumber
    row: str
    number: PaperNumber | None
    later: float | None
    tolerance: float
    group: Group | None
    ours: Summary | None
    delta: float | None
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Every cell of the paper with what was measured, the digits beside them, and the files that could not be read.

    `duels` are the image-by-image comparisons with another checkpoint, where one was asked for.
    """

    lines: tuple[Line, ...]
    digits: tuple[DigitsLine, ...]
    warnings: tuple[str, ...]
    duels: tuple[Duel, ...] = ()

    def status(self, *, strict: bool) -> int:
        """0 when every measured cell is within tolerance, else 1; `strict` also asks that every cell was measured."""
        verdicts = [line.verdict for line in self.lines] + [line.verdict for line in self.digits]
        if any(verdict in MISSES for verdict in verdicts):
            return 1
        return int(strict and bool(self.missing()))

    def missing(self) -> tuple[str, ...]:
        """The paper's cells that no counted record fills."""
        filled = {line.target.cell for line in self.lines if line.row == line.target.row and _counts(line)}
        return tuple(cell for cell in targets() if cell not in filled)


def compare(records: Sequence[Record], warnings: Iterable[str] = (), duels: Iterable[Duel] = ()) -> Comparison:
    """Judge all records; digits records go to their own section and never meet a number of the paper."""
    groups = group_records(records)
    digits = [group for group in groups if group.corpus == "digits"]
    images = [group for group in groups if group.corpus != "digits"]
    lines = [line for target in targets().values() for line in _cell_lines(target, images)]
    return Comparison(tuple(lines), judge_digits(digits), tuple(warnings), tuple(duels))


def verdict_of(delta: float, tolerance: float) -> Verdict:
    """Compare a difference with its tolerance; a difference equal to it to within a millionth of a point is inside."""
    if abs(delta) <= tolerance + 1e-6:
        return "within"
    return "below" if delta < 0 else "above"


def _cell_lines(target: PaperNumber, groups: Sequence[Group]) -> list[Line]:
    lines = [_line(target, group) for group in groups if group.cell == target.cell]
    own = [line for line in lines if line.row == target.row]
    others = sorted((line for line in lines if line.row != target.row), key=lambda line: line.row)
    return [*(own or [_not_run(target)]), *others]


def _line(target: PaperNumber, group: Group) -> Line:
    row = target.row if group.label == method_of(target) else group.label
    number = comparable_number(target.cell, row)
    comparable = number is not None and group.first.measurement.unit == number.unit
    delta = group.summary.mean - number.value if number and comparable else None
    tolerance = tolerances()[target.cell].tolerance
    reason = why_not_counted(group)
    verdict: Verdict = "deviates" if reason else "no claim" if delta is None else verdict_of(delta, tolerance)
    return Line(target, row, number, _later(number), tolerance, group, group.summary, delta, verdict, reason)


def _not_run(target: PaperNumber) -> Line:
    tolerance = tolerances()[target.cell].tolerance
    return Line(target, target.row, target, _later(target), tolerance, None, None, None, "not run", "")


def _later(number: PaperNumber | None) -> float | None:
    later = later_numbers().get((number.cell, number.row)) if number else None
    return later.value if later else None


def _counts(line: Line) -> bool:
    return line.verdict in ("within", "below", "above")
