"""What the digits corpus must show: expected values as data, judged apart from the paper and never compared with it."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from results.counting import why_no_measurement
from results.groups import Group
from results.tables import targets
from results.typed import read_csv

EXPECTATIONS_FILE = Path(__file__).parent / "expectations.csv"
CONTROLS = ("random init",)

DigitsVerdict = Literal["within", "below", "deviates", "not run", "no claim"]


@dataclass(frozen=True)
class Expectation:
    """On the digits' held-out images `label` must reach `at_least`, and `control` lie `control_gap` points lower."""

    cell: str
    protocol: str
    label: str
    at_least: float
    control: str
    control_gap: float
    reached: float
    source: str


@dataclass(frozen=True)
class DigitsLine:
    """One checkpoint's measurement of a cell's protocol on digits beside the untrained control's."""

    cell: str
    group: Group | None
    control: Group | None
    expectation: Expectation | None
    verdict: DigitsVerdict
    reason: str

    @property
    def gain(self) -> float | None:
        """Points above the control."""
        if self.group is None or self.control is None:
            return None
        return self.group.summary.mean - self.control.summary.mean


@functools.cache
def expectations() -> dict[str, Expectation]:
    """What is expected of each cell on digits, by cell."""
    return {item.cell: item for item in read_csv(EXPECTATIONS_FILE, Expectation)}


def judge_digits(groups: Sequence[Group]) -> tuple[DigitsLine, ...]:
    """One line for each cell and checkpoint measured on digits, in the order of the paper's cells."""
    lines: list[DigitsLine] = []
    for cell in targets():
        here = [group for group in groups if group.cell == cell]
        controls = [group for group in here if group.label in CONTROLS]
        measured = [group for group in here if group.label not in CONTROLS]
        lines += [_judge(cell, group, _control_of(group, controls)) for group in measured]
        used = [line.control for line in lines]
        lines += [_judge(cell, None, control) for control in controls if control not in used]
    return tuple(lines)


def _control_of(group: Group, controls: Sequence[Group]) -> Group | None:
    def same_terms(control: Group) -> bool:
        ours, its = group.first, control.first
        return (ours.protocol_hash, ours.dataset.fingerprint, ours.dataset.subset, ours.protocol_deviations) == (
            its.protocol_hash, its.dataset.fingerprint, its.dataset.subset, its.protocol_deviations,
        )  # fmt: skip

    return next((control for control in controls if same_terms(control)), None)


def _judge(cell: str, group: Group | None, control: Group | None) -> DigitsLine:
    expectation = expectations().get(cell)
    if group is None:
        return DigitsLine(cell, None, control, expectation, "not run", "only the control was measured")
    if reason := _why_not_counted(group, expectation):
        return DigitsLine(cell, group, control, expectation, "deviates", reason)
    if expectation is None or group.label != expectation.label:
        return DigitsLine(cell, group, control, None, "no claim", "")
    if group.summary.mean < expectation.at_least - 1e-6:
        return DigitsLine(cell, group, control, expectation, "below", f"expected at least {expectation.at_least:g}")
    if control is None:
        return DigitsLine(cell, group, None, expectation, "not run", f"{expectation.control} was not measured")
    if group.summary.mean - control.summary.mean < expectation.control_gap - 1e-6:
        reason = f"{expectation.control} is less than {expectation.control_gap:g} points lower"
        return DigitsLine(cell, group, control, expectation, "below", reason)
    return DigitsLine(cell, group, control, expectation, "within", "")


def _why_not_counted(group: Group, expectation: Expectation | None) -> str:
    if group.deviations:
        return "; ".join(group.deviations)
    if group.subset:
        return f"on a part of the data: {group.subset}"
    if expectation is not None and group.protocol != expectation.protocol:
        return f"protocol {group.protocol}, expected {expectation.protocol}"
    return why_no_measurement(group)
