"""What the digits must show, judged against its own data and never against the paper."""

from collections.abc import Callable

import pytest

from results.arranged import headline
from results.compare import Comparison, compare
from results.expectations import expectations
from results.records import Record

Make = Callable[..., Record]


def digits(make_record: Make, linear: float, control: float | None, **changes: object) -> Comparison:
    """A comparison of one linear measurement on digits and the untrained control's."""
    terms = {"corpus": "digits", "protocol": "linear-demo", **changes}
    records = [make_record(value=linear, **terms)]
    if control is not None:
        records.append(make_record(value=control, label="random init", **terms))
    return compare(records)


def test_the_expectations_are_the_agreed_ones() -> None:
    found = {cell: (e.at_least, e.control_gap, e.control) for cell, e in expectations().items()}
    assert found == {
        "table1/linear/top1": (95.0, 40.0, "random init"),
        "table5/knn_20/top1": (88.0, 40.0, "random init"),
    }


@pytest.mark.parametrize(
    ("linear", "control", "verdict", "status"),
    [
        (97.8, 23.0, "within", 0),
        (95.0, 55.0, "within", 0),
        (94.9, 23.0, "below", 1),
        (97.8, 58.0, "below", 1),
        (97.8, None, "not run", 0),
    ],
)
def test_a_missed_expectation_makes_the_status_1(
    make_record: Make, linear: float, control: float | None, verdict: str, status: int
) -> None:
    comparison = digits(make_record, linear, control)
    assert [line.verdict for line in comparison.digits] == [verdict]
    assert comparison.status(strict=False) == status


@pytest.mark.parametrize(
    "changes",
    [{"subset": "64 of each split"}, {"deviations": ("epochs: 20 -> 1",)}, {"protocol": "linear"}],
)
def test_a_smoke_runs_record_is_shown_and_cannot_miss(make_record: Make, changes: dict[str, object]) -> None:
    comparison = digits(make_record, 31.0, 20.0, **changes)
    assert [line.verdict for line in comparison.digits] == ["deviates"]
    assert comparison.status(strict=False) == 0


def test_a_control_under_other_terms_is_not_the_control(make_record: Make) -> None:
    record = make_record(value=97.8, corpus="digits", protocol="linear-demo")
    control = make_record(value=23.0, label="random init", corpus="digits", protocol="linear-demo", subset="64")
    lines = compare([record, control]).digits
    assert [(line.verdict, line.reason) for line in lines if line.group] == [
        ("not run", "random init was not measured")
    ]


def test_an_expectation_whose_control_is_missing_is_undecided(make_record: Make) -> None:
    linear = make_record(value=98.6, corpus="digits", protocol="linear-demo")
    knn = [
        make_record("table5/knn_20/top1", value, corpus="digits", protocol="knn-demo", label=label)
        for value, label in ((96.1, "VICReg"), (21.7, "random init"))
    ]
    assert headline(compare([linear, *knn])).endswith("Digits: 1 of 1 expectations met, 1 undecided.")


def test_a_cell_without_expectation_is_shown_beside_its_control(make_record: Make) -> None:
    terms = {"corpus": "digits", "protocol": "voc07-demo"}
    records = [make_record("table2/voc07/mAP", 71.1, **terms)]
    records.append(make_record("table2/voc07/mAP", 17.0, label="random init", **terms))
    (line,) = compare(records).digits
    assert line.verdict == "no claim" and line.gain == pytest.approx(54.1)
