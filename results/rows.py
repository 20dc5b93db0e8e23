"""The comparison as flat rows of plain values, which the machine-readable formats write and the others arrange."""

from dataclasses import asdict, dataclass
from typing import Any

from results.against import Duel
from results.compare import Comparison, Line
from results.expectations import DigitsLine
from results.groups import Group, group_records
from results.tables import TITLES, targets, tolerances

COLUMNS = (
    "section", "table", "cell", "row", "unit", "paper", "later_version", "ours", "n", "standard_deviation",
    "interval_low", "interval_high", "delta", "tolerance", "expected", "control", "theirs", "p_value", "images",
    "verdict", "reason", "checkpoint", "checkpoint_sha256", "protocol", "protocol_hash", "seeds",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Which weights and which protocol stand behind a number; lines share it and refer to it by its letter."""

    letter: str
    label: str
    origin: str
    sha256: str
    protocol: str
    protocol_hash: str
    seeds: tuple[int, ...]

    def sentence(self) -> str:
        """The source in one line, short digests."""
        seeds = ", ".join(str(seed) for seed in self.seeds)
        return (
            f"[{self.letter}] {self.label}: {self.origin} ({self.sha256[:12]}), "
            f"protocol {self.protocol} ({self.protocol_hash[:8]}), seed{'s' * (len(self.seeds) > 1)} {seeds}"
        )


class Sources:
    """Hands out letters (a, b, ..., z, aa, ab, ...) in the order in which sources are met."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: dict[tuple[Any, ...], Source] = {}

    def of(self, group: Group | None) -> Source | None:
        """The source of a group, with the same letter for the same source."""
        if group is None:
            return None
        first = group.first
        seeds = tuple(record.seed for record in group.records)
        key = (first.checkpoint.label, group.sha256, group.protocol, first.protocol_hash, seeds)
        if key not in self._found:
            origin = first.checkpoint.origin
            parts = (first.checkpoint.label, origin, group.sha256, group.protocol, first.protocol_hash, seeds)
            self._found[key] = Source(_letters(len(self._found)), *parts)
        return self._found[key]

    def all(self) -> list[Source]:
        """Every source met so far."""
        return list(self._found.values())


def cell_title(cell: str) -> str:
    """A cell's name within its table: "linear top1" for "table1/linear/top1"."""
    return " ".join(cell.split("/")[1:])


def plain_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Every line as one flat dictionary with the same keys; absent values are None."""
    return (
        [_paper_row(line) for line in comparison.lines]
        + [_digits_row(line) for line in comparison.digits]
        + [_duel_row(duel) for duel in comparison.duels]
    )


def as_document(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison as nested plain JSON: tables, digits, what is missing, warnings."""
    rows = plain_rows(comparison)
    return {
        "paper": "arXiv 2105.04906",
        "tables": {
            title: [row for row in rows if row["section"] == "paper" and row["table"] == table]
            for table, title in TITLES.items()
        },
        "digits": [row for row in rows if row["section"] == "digits"],
        "against": [row for row in rows if row["section"] == "against"],
        "missing": list(comparison.missing()),
        "tolerances": [asdict(item) for item in tolerances().values()],
        "warnings": list(comparison.warnings),
    }


def _paper_row(line: Line) -> dict[str, Any]:
    return _row(
        "paper",
        line.target.cell,
        line.group,
        row=line.row,
        paper=line.number.value if line.number else None,
        later_version=line.later,
        delta=_rounded(line.delta),
        tolerance=line.tolerance,
        verdict=line.verdict,
        reason=line.reason,
    )


def _digits_row(line: DigitsLine) -> dict[str, Any]:
    measured = line.group or line.control
    return _row(
        "digits",
        line.cell,
        line.group,
        row=measured.label if measured else "",
        control=_rounded(line.control.summary.mean if line.control else None),
        delta=_rounded(line.gain),
        expected=line.expectation.at_least if line.expectation else None,
        verdict=line.verdict,
        reason=line.reason,
    )


def _duel_row(duel: Duel) -> dict[str, Any]:
    found = duel.difference
    low, high = found.interval if found else (None, None)
    return _row(
        "against",
        duel.cell,
        group_records([duel.ours])[0],
        row=duel.theirs.checkpoint.label,
        theirs=_rounded(duel.theirs.measurement.value),
        delta=_rounded(found.difference if found else None),
        interval_low=_rounded(low),
        interval_high=_rounded(high),
        p_value=_rounded(found.p_value if found else None),
        images=found.images if found else None,
        reason=duel.reason,
    )


def _row(section: str, cell: str, group: Group | None, **values: Any) -> dict[str, Any]:
    """A row with every column; those that are not given are None."""
    given = {"section": section, "table": targets()[cell].table, "cell": cell, **_measured(group), **_origin(group)}
    return {**dict.fromkeys(COLUMNS), **given, **values}


def _measured(group: Group | None) -> dict[str, Any]:
    summary = group.summary if group else None
    low, high = summary.interval if summary and summary.interval else (None, None)
    return {
        "ours": _rounded(summary.mean if summary else None),
        "n": summary.n if summary else 0,
        "standard_deviation": _rounded(summary.deviation if summary else None),
        "interval_low": _rounded(low),
        "interval_high": _rounded(high),
    }


def _origin(group: Group | None) -> dict[str, Any]:
    if group is None:
        return {}
    first = group.first
    return {
        "unit": first.measurement.unit,
        "checkpoint": first.checkpoint.origin,
        "checkpoint_sha256": first.checkpoint.sha256,
        "protocol": first.protocol,
        "protocol_hash": first.protocol_hash,
        "seeds": " ".join(str(record.seed) for record in group.records),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _letters(index: int) -> str:
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
