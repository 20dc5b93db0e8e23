"""The paper's tables as typed data: every printed number, its tolerance, and the later version's number beside it."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from results.refusal import Refusal
from results.typed import read_csv

PAPER = Path(__file__).parent / "paper"

TITLES = {
    "1": "Table 1: ImageNet, linear and semi-supervised",
    "2": "Table 2: transfer to other tasks",
    "3": "Table 3: variance and covariance terms in other architectures, 100 epochs",
    "4a": "Table 4a: loss coefficients, 100 epochs",
    "4b": "Table 4b: normalisation, 100 epochs",
    "5": "Table 5: k nearest neighbours on ImageNet",
    "6": "Table 6: projector width, 100 epochs",
    "batch_size": "Section 5: batch size, 100 epochs",
}
METHOD = "VICReg"
SUPERVISED = "Supervised"


@dataclass(frozen=True)
class PaperNumber:
    """One printed number: the claim of `row` (a method or a setting) in `cell`, and where in the paper it was read."""

    cell: str
    table: str
    row: str
    column: str
    metric: str
    value: float
    unit: str
    higher_is_better: bool
    read_at: str
    note: str


@dataclass(frozen=True)
class Tolerance:
    """How far a measurement of `cell` may lie from the paper's number, in the cell's unit, and why that far."""

    cell: str
    tolerance: float
    basis: Literal["published spread", "five-seed spread", "binomial", "chance"]
    test_images: int | None
    reason: str
    source: str


@dataclass(frozen=True)
class LaterNumber:
    """What the later version of the paper prints for the same cell and row, where it differs."""

    cell: str
    row: str
    value: float
    note: str
    source: str


@functools.cache
def numbers() -> tuple[PaperNumber, ...]:
    """All printed numbers in the paper's order.

    Raises:
        Refusal: a line of the file is malformed, out of range, of an unknown table, or given twice.
    """
    found = read_csv(PAPER / "tables.csv", PaperNumber)
    seen: set[tuple[str, str]] = set()
    for number in found:
        if number.table not in TITLES or not 0 <= number.value <= 100 or (number.cell, number.row) in seen:
            raise Refusal(f"tables.csv: {number.cell}, row {number.row!r}: unknown table, not a percentage, or twice")
        seen.add((number.cell, number.row))
    return found


@functools.cache
def targets() -> dict[str, PaperNumber]:
    """The number each cell is judged by: VICReg's row, or the only row of an ablation's cell; in the paper's order."""
    rows: dict[str, list[PaperNumber]] = {}
    for number in numbers():
        rows.setdefault(number.cell, []).append(number)
    chosen = [next((n for n in found if n.row == METHOD), found[0]) for found in rows.values()]
    return {number.cell: number for number in sorted(chosen, key=numbers().index)}


@functools.cache
def tolerances() -> dict[str, Tolerance]:
    """The tolerance of every cell.

    Raises:
        Refusal: a cell has none, two, or one that is not positive.
    """
    found = read_csv(PAPER / "tolerances.csv", Tolerance)
    by_cell = {item.cell: item for item in found}
    if set(by_cell) != set(targets()) or len(by_cell) != len(found) or min(t.tolerance for t in found) <= 0:
        raise Refusal("tolerances.csv: each cell needs exactly one positive tolerance")
    return by_cell


@functools.cache
def later_numbers() -> dict[tuple[str, str], LaterNumber]:
    """The later version's numbers that differ, by (cell, row)."""
    return {(item.cell, item.row): item for item in read_csv(PAPER / "later_version.csv", LaterNumber)}


def paper_number(cell: str, row: str) -> PaperNumber | None:
    """What the paper prints for `row` in `cell`; an ablation's only row also answers to its method's name."""
    target = targets()[cell]
    found = {n.row: n for n in numbers() if n.cell == cell}
    if row not in found and len(found) == 1 and row == method_of(target):
        return target
    return found.get(row)


def comparable_number(cell: str, row: str) -> PaperNumber | None:
    """What a checkpoint of `row` can be compared with.

    None also for Table 1's "Supervised" with 1 % and 10 % of the labels: networks trained from scratch on those alone,
    of which the supervised control, pretrained on all labels and fine-tuned, is none.
    """
    return None if row == SUPERVISED and cell.startswith("table1/semi_") else paper_number(cell, row)


def method_of(number: PaperNumber) -> str:
    """The method whose checkpoint a row describes: "BYOL" for "BYOL [ME+SG+PR+BN]", VICReg for a bare setting."""
    name = number.row.split(" [")[0]
    return METHOD if number.table in ("4a", "4b", "6", "batch_size") else name
