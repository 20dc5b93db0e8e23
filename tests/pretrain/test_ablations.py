"""Every cell of the paper's ablations has a recipe with the paper's number, and every recipe the paper's switches."""

import csv
from pathlib import Path

import pytest

from pretrain import ablations
from pretrain.demo_ablations import demo_rows
from pretrain.recipes import NAMED_RECIPES, RECIPES, ROWS
from results.settings import deviations

PAPER = Path(__file__).parent.parent.parent / "results" / "paper" / "tables.csv"
FULL_SIZE = [row for row in ROWS if row.table != "demo-ablations"]
BY_NAME = {row.name: row for row in ROWS}


def printed() -> dict[str, float]:
    with PAPER.open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["table"] in ("3", "4a", "4b", "6", "batch_size")]
    return {line["cell"]: float(line["value"]) for line in lines}


def test_every_cell_of_the_ablations_has_one_row_with_the_number_to_expect() -> None:
    rows = [row for row in FULL_SIZE if row.cell]
    assert len(rows) == len({row.cell for row in rows}) == 24 + 5 + 5 + 7 + 6
    assert {row.cell: row.top1 for row in rows} == printed()


def test_every_row_is_a_named_recipe_that_tells_its_cell_and_number() -> None:
    for row in FULL_SIZE:
        named = NAMED_RECIPES[row.name]
        assert named.recipe == row.recipe
        assert not row.cell or (row.cell in named.summary and f"linear top-1 {row.top1}" in named.summary)
        assert row.table == "figure2" or row.recipe.epochs == 100


# Typed from the paper's Table 3: ME, SG, PR, BN.
COMPONENTS = {
    "byol_me_sg_pr_bn": ("BYOL", True, True, True, True),
    "simsiam_sg_pr_bn": ("SimSiam", False, True, True, True),
    "simsiam_sg_pr": ("SimSiam", False, True, True, False),
    "simsiam_sg": ("SimSiam", False, True, False, False),
    "vicreg_pr": ("VICReg", False, False, True, False),
    "vicreg_pr_bn": ("VICReg", False, False, True, True),
    "vicreg_bn": ("VICReg", False, False, False, True),
    "vicreg_none": ("VICReg", False, False, False, False),
}
WEIGHTS = {
    ("BYOL", "no_reg"): (1, 0, 0), ("BYOL", "var_reg"): (1, 1, 0), ("BYOL", "var_cov_reg"): (1, 1, 0.01),
    ("SimSiam", "no_reg"): (1, 0, 0), ("SimSiam", "var_reg"): (1, 1, 0), ("SimSiam", "var_cov_reg"): (1, 1, 0.01),
    ("VICReg", "no_reg"): (1, 0, 0), ("VICReg", "var_reg"): (1, 1, 0), ("VICReg", "var_cov_reg"): (25, 25, 1),
}  # fmt: skip


@pytest.mark.parametrize("row", [row for row in ROWS if "table3/" in row.cell], ids=lambda row: row.name)
def test_a_row_of_table_3_has_its_components_and_weights(row: ablations.Row) -> None:
    _, key, column = row.cell.split("/")
    recipe, branches, loss = row.recipe, row.recipe.branches, row.recipe.loss
    found = (branches.momentum_encoder, branches.stop_gradient, branches.predictor, branches.batch_norm)
    assert (recipe.method, *found) == COMPONENTS[key]
    weights = (loss.invariance_weight, loss.variance_weight, loss.covariance_weight)
    assert weights == WEIGHTS[recipe.method, column]


def test_byol_and_simsiam_have_the_settings_of_b5() -> None:
    byol, simsiam = RECIPES["table3-byol-me-sg-pr-bn-no-reg"], RECIPES["table3-simsiam-sg-pr-bn-no-reg"]
    assert (byol.optimizer, byol.base_lr, byol.global_batch_size, byol.weight_decay) == ("lars", 0.45, 4096, 1e-6)
    assert (byol.trust_coefficient, byol.momentum, byol.warmup_epochs) == (0.001, 0.9, 10)
    assert byol.branches.target_momentum == 0.99
    assert (simsiam.optimizer, simsiam.base_lr, simsiam.global_batch_size) == ("sgd", 0.05, 2048)
    assert (simsiam.weight_decay, simsiam.momentum, simsiam.branches.predictor_lr) == (1e-4, 0.9, "constant")


def test_a_row_of_vicreg_differs_from_the_default_in_nothing_but_what_it_is_about() -> None:
    default = RECIPES["official-100"]
    assert deviations(default, RECIPES["table4a-inv-cov"]) == ("loss.variance_weight: 25.0 -> 0.0",)
    assert deviations(default, RECIPES["table4b-no-bn"]) == ("branches.batch_norm: True -> False",)
    assert deviations(default, RECIPES["table4b-l2-normalization"]) == (
        "loss.gamma_unit: one -> one-over-root-d", "loss.epsilon_unit: one -> gamma-squared",
        "branches.output: free -> unit",
    )  # fmt: skip
    assert deviations(default, RECIPES["width-512"]) == ("projector_width: 8192 -> 512",)
    assert deviations(default, RECIPES["batch-256"]) == ("global_batch_size: 2048 -> 256", "base_lr: 0.3 -> 0.5")
    assert default == RECIPES["table4a-inv-var-cov"] == RECIPES["table4b-default"] == RECIPES["width-8192"]


def test_the_plan_counts_each_pretraining_once_under_the_name_that_runs_it() -> None:
    with (PAPER.parent.parent / "ablation_runs.csv").open(encoding="utf-8", newline="") as file:
        planned = {line["cell"]: line["run"] for line in csv.DictReader(file)}
    assert set(planned) == set(printed())
    for row in FULL_SIZE:
        if row.cell:
            assert RECIPES[planned[row.cell]] == row.recipe
    # 47 cells; the default fills five, and three more runs fill two each.
    assert len(set(planned.values())) == 47 - 4 - 3


def test_figure_2_has_four_curves() -> None:
    names = [row.name for row in ROWS if row.table == "figure2"]
    curves = {name.removeprefix("figure2-").rpartition("-")[0] for name in names}
    assert curves == {"byol", "byol-var", "simsiam", "simsiam-var"}
    assert RECIPES["figure2-byol-1000"].branches.target_momentum == 0.996


def test_the_demo_has_table_4a_and_the_rows_of_byol_and_simsiam() -> None:
    rows = list(demo_rows(RECIPES["official-100"], RECIPES["demo"]))
    assert [row.cell for row in rows] == [
        cell for cell in sorted(printed(), key=lambda cell: not cell.startswith("table4a"))
        if cell.startswith(("table4a", "table3/byol", "table3/simsiam"))
    ]  # fmt: skip
    for row in rows:
        whole = BY_NAME[row.name.removeprefix("demo-")].recipe
        assert row.recipe.loss == whole.loss
        kept = {"momentum_encoder", "stop_gradient", "predictor", "batch_norm", "output", "predictor_lr"}
        assert all(getattr(row.recipe.branches, name) == getattr(whole.branches, name) for name in kept)


def test_rows_of_one_method_in_the_demo_share_everything_but_loss_and_components() -> None:
    for method in ("VICReg", "BYOL", "SimSiam"):
        found = [row.recipe for row in ROWS if row.table == "demo-ablations" and row.recipe.method == method]
        names = {line.split(":")[0].split(".")[0] for recipe in found for line in deviations(found[0], recipe)}
        assert names <= {"loss", "branches"}
