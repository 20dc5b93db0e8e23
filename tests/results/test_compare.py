"""Verdicts cell by cell, what counts and what never does, and the exit status."""

from collections.abc import Callable, Sequence

import pytest

from results.compare import Comparison, Line, compare, verdict_of
from results.records import Record
from results.tables import targets

Make = Callable[..., Record]


def lines_of(comparison: Comparison, cell: str) -> list[Line]:
    """The lines of one cell."""
    return [line for line in comparison.lines if line.target.cell == cell]


def verdicts(records: Sequence[Record], cell: str = "table1/linear/top1") -> list[tuple[str, str]]:
    """Row and verdict of every line of one cell."""
    return [(line.row, line.verdict) for line in lines_of(compare(records), cell)]


def test_without_records_every_cell_is_not_run() -> None:
    comparison = compare([])
    assert [line.target.cell for line in comparison.lines] == list(targets())
    assert {line.verdict for line in comparison.lines} == {"not run"}
    assert (comparison.status(strict=False), comparison.status(strict=True)) == (0, 1)


@pytest.mark.parametrize(
    ("value", "verdict", "status"),
    [(73.2, "within", 0), (73.4, "within", 0), (73.0, "within", 0), (73.41, "above", 1), (72.99, "below", 1)],
)
def test_the_tolerance_of_the_linear_cell_is_two_tenths(
    make_record: Make, value: float, verdict: str, status: int
) -> None:
    comparison = compare([make_record(value=value)])
    assert [line.verdict for line in lines_of(comparison, "table1/linear/top1")] == [verdict]
    assert comparison.status(strict=False) == status


def test_a_difference_equal_to_the_tolerance_is_inside_whatever_floating_point_makes_of_it() -> None:
    assert verdict_of(73.4 - 73.2, 0.2) == "within"  # 0.20000000000000284 in floating point
    assert verdict_of(-0.2, 0.2) == "within"
    assert verdict_of(0.2001, 0.2) == "above"


def test_seeds_are_averaged_and_judged_by_their_mean(make_record: Make) -> None:
    values = (82.1, 82.6, 82.3, 82.9, 82.2)
    cell = "table2/voc0712/AP50"
    records = [make_record(cell, value, seed=seed, protocol="voc0712") for seed, value in enumerate(values)]
    (line,) = lines_of(compare(records), cell)
    assert line.ours is not None and line.ours.n == 5
    assert line.ours.mean == pytest.approx(82.42) and line.delta == pytest.approx(0.02)
    assert line.verdict == "within"


def test_a_seed_measured_again_counts_once_as_it_was_last(make_record: Make) -> None:
    records = [make_record(value=70.0), make_record(value=73.2, created="2026-03-01T00:00:00.000+00:00")]
    (line,) = lines_of(compare(records), "table1/linear/top1")
    assert line.ours is not None and (line.ours.n, line.ours.mean) == (1, 73.2)
    assert line.group is not None and line.group.superseded == 1


def test_a_record_with_deviations_is_shown_and_never_counts(make_record: Make) -> None:
    comparison = compare([make_record(value=20.0, deviations=("epochs: 100 -> 2",))])
    (line,) = lines_of(comparison, "table1/linear/top1")
    assert (line.verdict, line.reason) == ("deviates", "epochs: 100 -> 2")
    assert comparison.status(strict=False) == 0
    assert "table1/linear/top1" in comparison.missing()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subset": "1000 of each split"}, "on a part of the data: 1000 of each split"),
        ({"corpus": "other"}, "not the published data set"),
        ({"protocol": "linear-paper-crop"}, "protocol linear-paper-crop, the paper's is linear"),
        ({"protocol": "linear-demo"}, "protocol linear-demo, the paper's is linear"),
    ],
)
def test_neither_a_part_of_the_data_nor_other_data_nor_a_variant_counts(
    make_record: Make, changes: dict[str, str], reason: str
) -> None:
    comparison = compare([make_record(value=20.0, **changes)])
    (line,) = lines_of(comparison, "table1/linear/top1")
    assert line.verdict == "deviates" and line.reason.startswith(reason)
    assert comparison.status(strict=False) == 0


def test_a_deviating_record_stands_beside_the_counting_one_and_is_not_averaged_into_it(make_record: Make) -> None:
    records = [make_record(), make_record(value=10.0, deviations=("epochs: 100 -> 2",), seed=1)]
    assert sorted(verdicts(records)) == [("VICReg", "deviates"), ("VICReg", "within")]


def test_digits_never_meet_a_paper_cell(make_record: Make) -> None:
    comparison = compare([make_record(value=97.8, corpus="digits", protocol="linear-demo")])
    assert {line.verdict for line in comparison.lines} == {"not run"}
    assert all(line.group is None for line in comparison.lines)
    assert [line.cell for line in comparison.digits] == ["table1/linear/top1"]


def test_other_methods_rows_appear_when_their_checkpoints_were_measured(make_record: Make) -> None:
    records = [
        make_record(),
        make_record(value=73.4, label="Barlow Twins"),
        make_record(value=76.5, label="Supervised"),
    ]
    assert verdicts(records) == [("VICReg", "within"), ("Barlow Twins", "within"), ("Supervised", "within")]


@pytest.mark.parametrize(
    ("cell", "protocol"), [("table1/semi_1pct/top1", "semi-1pct"), ("table1/semi_10pct/top5", "semi-10pct")]
)
def test_the_supervised_control_is_not_held_to_networks_trained_from_scratch(
    make_record: Make, cell: str, protocol: str
) -> None:
    # Fine-tuned from all labels it is far above Table 1's 25.4 and 80.4.
    comparison = compare([make_record(cell, 90.0, label="Supervised", protocol=protocol)])
    (line,) = [line for line in lines_of(comparison, cell) if line.row == "Supervised"]
    assert (line.verdict, line.number, line.delta) == ("no claim", None, None)
    assert comparison.status(strict=False) == 0


def test_another_method_that_misses_its_row_is_a_miss_of_the_harness(make_record: Make) -> None:
    comparison = compare([make_record(), make_record(value=60.0, label="Barlow Twins")])
    assert comparison.status(strict=False) == 1


def test_a_control_the_paper_does_not_print_has_no_verdict_but_is_shown(make_record: Make) -> None:
    records = [make_record(value=4.4, label="random init")]
    assert verdicts(records) == [("VICReg", "not run"), ("random init", "no claim")]
    assert compare(records).status(strict=False) == 0


def test_two_checkpoints_of_one_method_get_a_line_each(make_record: Make) -> None:
    second = make_record(value=70.0)
    second = Record(**{**vars(second), "checkpoint": type(second.checkpoint)("e" * 64, "mine.pth", "VICReg")})
    assert verdicts([make_record(), second]) == [("VICReg", "within"), ("VICReg", "below")]


def test_an_ablations_cell_is_filled_by_a_record_with_its_methods_label(make_record: Make) -> None:
    record = make_record("table6/width_256/top1", 55.9)
    assert verdicts([record], "table6/width_256/top1") == [("256", "within")]


def test_an_ablation_is_judged_by_the_linear_probe_alone(make_record: Make) -> None:
    record = make_record("table4a/inv_var/top1", 57.5, protocol="linear-demo")
    assert verdicts([record], "table4a/inv_var/top1") == [("Inv+Var (1,1,0)", "deviates")]


def test_strict_is_satisfied_only_by_every_cell(make_record: Make) -> None:
    protocols = {"semi_1pct": "semi-1pct", "semi_10pct": "semi-10pct", "knn_20": "knn", "knn_200": "knn"}
    protocols |= {"coco_det": "coco", "coco_seg": "coco"}
    protocols |= {name: name for name in ("places205", "voc07", "inat18", "voc0712")}
    records = [
        make_record(
            cell, target.value, label=target.row if target.row in ("BYOL", "SimSiam") else _method(cell),
            protocol=protocols.get(target.column, "linear"),
        )
        for cell, target in targets().items()
    ]  # fmt: skip
    comparison = compare(records)
    assert comparison.missing() == ()
    assert comparison.status(strict=True) == 0
    assert compare(records[1:]).status(strict=True) == 1


def _method(cell: str) -> str:
    return "BYOL" if "/byol_" in cell else "SimSiam" if "/simsiam_" in cell else "VICReg"
