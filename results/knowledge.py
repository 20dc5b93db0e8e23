"""What is known around the numbers: contradictions in the sources, stated differences, users' reports, controls."""

import functools
from dataclasses import dataclass

from results.refusal import Refusal
from results.tables import PAPER, targets
from results.typed import read_csv


@dataclass(frozen=True)
class Discrepancy:
    """A typo or contradiction in the paper or between it, the released code and the later version, and the choice made.

    `concerns` names the room and part of this suite that the choice is built into.
    """

    number: int
    where: str
    problem: str
    paper: str
    code: str
    later: str
    choice: str
    concerns: str


@dataclass(frozen=True)
class Statement:
    """A difference that the paper's text states between two cells, in points; `discrepancy` says it does not hold."""

    statement: str
    higher: str
    lower: str
    stated: float
    discrepancy: int | None

    @property
    def shown(self) -> float:
        """The difference that the tables show, to the printed digit."""
        return round(targets()[self.higher].value - targets()[self.lower].value, 1)


@dataclass(frozen=True)
class UserReport:
    """What somebody measured for a cell, with which settings."""

    cell: str
    label: str
    value: float
    setting: str
    source: str


@dataclass(frozen=True)
class ControlReference:
    """What a control checkpoint scores when the harness is right; `checkpoint` is its known name."""

    label: str
    checkpoint: str
    cell: str
    value: float
    source: str
    note: str


@functools.cache
def discrepancies() -> tuple[Discrepancy, ...]:
    """All known contradictions, numbered from 1.

    Raises:
        Refusal: the numbers are not 1, 2, 3, ...
    """
    found = read_csv(PAPER / "discrepancies.csv", Discrepancy)
    if [item.number for item in found] != list(range(1, len(found) + 1)):
        raise Refusal("discrepancies.csv: its numbers are not 1, 2, 3, ...")
    return found


@functools.cache
def statements() -> tuple[Statement, ...]:
    """Every difference stated in the text that two cells of the tables can show."""
    found = read_csv(PAPER / "statements.csv", Statement)
    _know([item.higher for item in found] + [item.lower for item in found], "statements.csv")
    return found


@functools.cache
def user_reports() -> tuple[UserReport, ...]:
    """What users reported, by cell in no order."""
    found = read_csv(PAPER / "user_reports.csv", UserReport)
    _know([item.cell for item in found], "user_reports.csv")
    return found


@functools.cache
def control_references() -> tuple[ControlReference, ...]:
    """What the controls score elsewhere."""
    found = read_csv(PAPER / "controls.csv", ControlReference)
    _know([item.cell for item in found], "controls.csv")
    return found


def _know(cells: list[str], file: str) -> None:
    if unknown := [cell for cell in cells if cell not in targets()]:
        raise Refusal(f"{file}: unknown cell {unknown[0]!r}")
