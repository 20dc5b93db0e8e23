"""The paper's numbers, typed a second time from its text and compared with the data, cell by cell."""

import dataclasses
import math
from pathlib import Path

import pytest

from results import cells, tables, typed
from results.refusal import Refusal

ABSENT = None

# Typed from the paper's tables row by row, without looking at results/paper/tables.csv.
TABLE_1 = {
    # method: linear top-1, linear top-5, top-1 at 1 %, top-1 at 10 %, top-5 at 1 %, top-5 at 10 %
    "Supervised": (76.5, ABSENT, 25.4, 56.4, 48.4, 80.4),
    "MoCo": (60.6, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT),
    "PIRL": (63.6, ABSENT, ABSENT, ABSENT, 57.2, 83.8),
    "CPC v2": (63.8, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT),
    "CMC": (66.2, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT),
    "SimCLR": (69.3, 89.0, 48.3, 65.6, 75.5, 87.8),
    "MoCo v2": (71.1, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT),
    "SimSiam": (71.3, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT),
    "SwAV": (71.8, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT),
    "InfoMin Aug": (73.0, 91.1, ABSENT, ABSENT, ABSENT, ABSENT),
    "BYOL": (74.3, 91.6, 53.2, 68.8, 78.4, 89.0),
    "SwAV (w/ multi-crop)": (75.3, ABSENT, 53.9, 70.2, 78.5, 89.9),
    "Barlow Twins": (73.2, 91.0, 55.0, 69.7, 79.2, 89.3),
    "VICReg": (73.2, 91.1, 54.8, 69.5, 79.4, 89.5),
}
TABLE_1_CELLS = ("linear/top1", "linear/top5", "semi_1pct/top1", "semi_10pct/top1", "semi_1pct/top5", "semi_10pct/top5")
TABLE_2 = {
    # method: Places205, VOC07, iNat18, VOC07+12, COCO det, COCO seg
    "Supervised": (53.2, 87.5, 46.7, 81.3, 39.0, 35.4),
    "MoCo": (46.9, 79.8, 31.5, ABSENT, ABSENT, ABSENT),
    "PIRL": (49.8, 81.1, 34.1, ABSENT, ABSENT, ABSENT),
    "SimCLR": (52.5, 85.5, 37.2, ABSENT, ABSENT, ABSENT),
    "MoCo v2": (51.8, 86.4, 38.6, 82.5, 39.8, 36.1),
    "SimSiam": (ABSENT, ABSENT, ABSENT, 82.4, ABSENT, ABSENT),
    "BYOL": (54.0, 86.6, 47.6, ABSENT, 40.4, 37.0),
    "SwAV (w/ multi-crop)": (56.7, 88.9, 48.6, 82.6, 41.6, 37.8),
    "Barlow Twins": (54.1, 86.2, 46.5, 82.6, 40.0, 36.7),
    "VICReg": (54.3, 86.6, 47.0, 82.4, 39.4, 36.4),
}
TABLE_2_CELLS = ("places205/top1", "voc07/mAP", "inat18/top1", "voc0712/AP50", "coco_det/AP", "coco_seg/AP")
TABLE_3 = {
    # method and its ticks: no regularisation, variance, variance and covariance
    "byol_me_sg_pr_bn": (69.3, 70.2, 69.5),
    "simsiam_sg_pr_bn": (67.9, 68.1, 67.6),
    "simsiam_sg_pr": (35.1, 67.3, 67.1),
    "simsiam_sg": (0.1, 56.8, 66.1),
    "vicreg_pr": (0.1, 56.2, 67.3),
    "vicreg_pr_bn": (0.1, 57.1, 68.7),
    "vicreg_bn": (0.1, 57.5, 68.6),
    "vicreg_none": (0.1, 56.5, 67.4),
}
TABLE_4A = {"inv": 0.1, "inv_cov": 0.1, "var_cov": 0.1, "inv_var": 57.5, "inv_var_cov": 68.6}
TABLE_4B = {
    "standardization": 68.4, "standardization_no_bn": 67.2, "no_bn": 67.4, "l2_normalization": 65.1, "default": 68.6
}  # fmt: skip
TABLE_5 = {
    # method: 20-NN, 200-NN
    "NPID": (ABSENT, 46.5),
    "LA": (ABSENT, 49.4),
    "PCL": (54.5, ABSENT),
    "BYOL": (66.7, 64.9),
    "SwAV": (65.7, 62.7),
    "Barlow Twins": (64.8, 62.9),
    "VICReg": (64.5, 62.8),
}
TABLE_6 = {256: 55.9, 512: 59.2, 1024: 62.4, 2048: 65.1, 4096: 67.3, 8192: 69.1, 16384: 69.3}
BATCH_SIZE = {128: 67.3, 256: 67.9, 512: 68.2, 1024: 68.3, 2048: 68.6, 4096: 67.8}


def typed_again() -> dict[tuple[str, str], float]:
    """Every number above by (cell, row); the ablations, whose cells have one row, by (cell, "")."""
    found: dict[tuple[str, str], float | None] = {}
    for table, rows, names in (("table1", TABLE_1, TABLE_1_CELLS), ("table2", TABLE_2, TABLE_2_CELLS)):
        found |= {(f"{table}/{cell}", row): v for row, vs in rows.items() for cell, v in zip(names, vs, strict=True)}
    knn = ("knn_20/top1", "knn_200/top1")
    found |= {(f"table5/{cell}", row): v for row, vs in TABLE_5.items() for cell, v in zip(knn, vs, strict=True)}
    terms = ("no_reg", "var_reg", "var_cov_reg")
    found |= {(f"table3/{row}/{term}", ""): v for row, vs in TABLE_3.items() for term, v in zip(terms, vs, strict=True)}
    found |= {(f"table4a/{row}/top1", ""): value for row, value in TABLE_4A.items()}
    found |= {(f"table4b/{row}/top1", ""): value for row, value in TABLE_4B.items()}
    found |= {(f"table6/width_{width}/top1", ""): value for width, value in TABLE_6.items()}
    found |= {(f"batch_size/{size}/top1", ""): value for size, value in BATCH_SIZE.items()}
    return {key: value for key, value in found.items() if value is not None}


def test_the_data_holds_the_148_numbers_of_the_paper_and_no_other() -> None:
    many_rows = ("1", "2", "5")
    data = {(n.cell, n.row if n.table in many_rows else ""): n.value for n in tables.numbers()}
    assert len(data) == len(tables.numbers()) == 148
    assert data == typed_again()


def test_every_number_is_a_percentage_where_more_is_better_and_says_where_it_was_read() -> None:
    for number in tables.numbers():
        assert (number.unit, number.higher_is_better) == ("percent", True)
        place = "Section 5" if number.table == "batch_size" else f"Table {number.table},"
        assert number.read_at.startswith(place)


def test_there_is_one_target_for_each_cell_and_it_is_vicregs() -> None:
    targets = tables.targets()
    assert set(targets) == cells.cell_names() and len(targets) == 61
    assert {targets[f"table1/{cell}"].row for cell in TABLE_1_CELLS} == {"VICReg"}
    assert targets["table5/knn_20/top1"].value == 64.5
    assert list(targets)[:2] == ["table1/linear/top1", "table1/linear/top5"]


def test_typos_of_the_paper_are_noted_where_they_were_read() -> None:
    targets = tables.targets()
    assert "16834" in targets["table6/width_16384/top1"].read_at and "16384" in targets["table6/width_16384/top1"].note
    assert "printed as Inv + Cov" in targets["table4a/var_cov/top1"].note
    barlow = tables.paper_number("table2/voc07/mAP", "Barlow Twins")
    assert barlow is not None and "[49]" in barlow.note


def test_tolerances_from_the_binomial_are_the_binomials() -> None:
    for cell, tolerance in tables.tolerances().items():
        if tolerance.basis == "binomial":
            p, n = tables.targets()[cell].value / 100, tolerance.test_images
            assert n in (4_952, 20_500, 24_426, 50_000)
            half_width = 100 * 1.959964 * math.sqrt(p * (1 - p) / n)
            assert tolerance.tolerance == pytest.approx(half_width, abs=0.006), cell


def test_a_published_spread_goes_before_the_binomial() -> None:
    tolerances = tables.tolerances()
    assert (tolerances["table1/linear/top1"].tolerance, tolerances["table1/linear/top1"].basis) == (
        0.2,
        "published spread",
    )
    # MoCo's detection README: five runs, standard deviation 0.2 AP50; twice that.
    assert (tolerances["table2/voc0712/AP50"].tolerance, tolerances["table2/voc0712/AP50"].basis) == (
        0.4,
        "five-seed spread",
    )
    assert tolerances["table2/coco_det/AP"].tolerance == 0.3


def test_every_tolerance_has_a_reason_and_a_source() -> None:
    for tolerance in tables.tolerances().values():
        assert len(tolerance.reason) > 20 and tolerance.source


def test_the_later_versions_numbers_stand_beside_the_two_cells_that_differ() -> None:
    later = {key: number.value for key, number in tables.later_numbers().items()}
    assert later == {("table6/width_8192/top1", "8192"): 68.6, ("table6/width_16384/top1", "16384"): 68.8}


def test_an_ablations_row_answers_to_its_methods_name() -> None:
    assert tables.paper_number("table6/width_256/top1", "VICReg") == tables.targets()["table6/width_256/top1"]
    byol = tables.paper_number("table3/byol_me_sg_pr_bn/var_reg", "BYOL")
    assert byol is not None and byol.value == 70.2
    assert tables.paper_number("table3/byol_me_sg_pr_bn/var_reg", "VICReg") is None
    assert tables.paper_number("table1/linear/top1", "random init") is None


@dataclasses.dataclass(frozen=True)
class Sample:
    """A row with one field of each kind that the data files use."""

    name: str
    count: int
    share: float
    good: bool
    maybe: float | None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name,count\na,1\n", "its columns are"),
        ("name,count,share,good,maybe\na,1,0.5,yes\n", "4 fields, expected 5"),
        ("name,count,share,good,maybe\na,one,0.5,yes,\n", ":2: count is 'one', expected int"),
        ("name,count,share,good,maybe\na,1,x,yes,\n", ":2: share is 'x', expected float"),
        ("name,count,share,good,maybe\na,1,nan,yes,\n", "share is nan, expected a finite number"),
        ("name,count,share,good,maybe\na,1,0.5,perhaps,\n", "good is 'perhaps'"),
        ("name,count,share,good,maybe\na,1,,yes,\n", "share is '', expected float"),
    ],
)
def test_a_malformed_data_file_is_refused_by_file_line_and_field(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(Refusal, match=r"data\.csv") as caught:
        typed.read_csv(path, Sample)
    assert complaint in str(caught.value)


def test_a_well_formed_data_file_is_read_by_type(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('name,count,share,good,maybe\n"a, b",1,0.5,yes,\nc,2,1,no,3\n')
    assert typed.read_csv(path, Sample) == (Sample("a, b", 1, 0.5, True, None), Sample("c", 2, 1.0, False, 3.0))
