"""run.cell: the linear probe of an ablation is recorded under that ablation's cell, and under no other."""

from pathlib import Path

import pytest
from small_trunk import measure, records_of, use_tiny_trunk

from evaluate import work
from evaluate.run import Run
from results.refusal import Refusal


def test_the_linear_top1_fills_the_ablations_cell_alone_and_several_cells_share_one_probe(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tiny_trunk(monkeypatch)
    measure(tmp_path, digits_root, "linear-demo", epochs=1, run={"cell": "table4a/inv_var_cov/top1"})
    monkeypatch.setattr(work, "measure", None)
    # The default is a row of other tables too: its record there is written from the kept folder.
    measure(tmp_path, digits_root, "linear-demo", epochs=1, run={"cell": "table4b/default/top1"})
    found = records_of(tmp_path)
    assert set(found) == {"table4a/inv_var_cov/top1", "table4b/default/top1"}
    values = [record.measurement.value for record in found.values()]
    assert values[0] == values[1]
    assert all((tmp_path / "records" / path).is_file() for one in found.values() for path in one.attachments.values())


def test_only_the_linear_probe_judges_ablations(digits_root: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="which only the linear protocols fill"):
        measure(tmp_path, digits_root, "knn-demo", run={"cell": "table4a/inv/top1"})


def test_a_cell_that_the_paper_does_not_have_is_refused() -> None:
    with pytest.raises(Refusal, match=r"run\.cell is 'table7/x', no cell of the paper"):
        Run(cell="table7/x")
