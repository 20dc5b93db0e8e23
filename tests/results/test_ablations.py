"""The paper's claims about its ablations, judged on hand-made logs and records, and drawn."""

import json
from pathlib import Path

import pytest

from evaluate.protocols import PROTOCOLS
from results.ablations import AblationRun, Claim, Verdict, claims, find_ablations, judge
from results.compare import compare
from results.provenance import new_record
from results.records import CheckpointIdentity, DatasetIdentity, Measurement, read_records, write_record
from results.refusal import Refusal
from results.report.ablations import ablations_section, claim_texts, markdown
from results.tables import targets

INV, FULL, BYOL = "table4a/inv/top1", "table4a/inv_var_cov/top1", "table3/byol_me_sg_pr_bn/no_reg"


def run(cell: str, seed: int, top1: float = 50.0, **logged: float) -> AblationRun:
    points = tuple({"step": float(step), "epoch": step / 10, **logged} for step in range(20))
    return AblationRun(cell, seed, "digits", top1, points)


def verdict(runs: list[AblationRun], text: str) -> Verdict:
    return next(one for one in judge(runs) if text in one.claim.claim)


def test_every_claim_is_about_cells_of_the_paper() -> None:
    assert len(claims()) >= 15
    for claim in claims():
        assert claim.greater in targets() and (claim.lesser is None or claim.lesser in targets())


def test_a_claim_holds_when_its_inequality_holds_for_every_seed() -> None:
    runs = [run(INV, seed, embedding_std_a=0.02, embedding_std_b=0.06) for seed in (0, 1)]
    runs += [run(FULL, seed, embedding_std_a=0.5, embedding_std_b=0.5) for seed in (0, 1)]
    found = verdict(runs, "Without the variance term")
    # The mean of both views, 0.04, is below a tenth of 0.5.
    assert found.lesser == pytest.approx((0.04, 0.04)) and found.word == "holds"


def test_a_claim_that_fails_for_a_seed_says_for_how_many_it_holds() -> None:
    runs = [run(INV, 0, 30.0), run(INV, 1, 70.0), run(FULL, 0, 60.0), run(FULL, 1, 60.0), run(FULL, 2, 60.0)]
    assert verdict(runs, "worth less: invariance alone").word == "holds for 1 of 2 seeds"
    runs[0] = run(INV, 0, 80.0)
    assert verdict(runs, "worth less: invariance alone").word == "does not hold"


def test_what_was_not_measured_is_not_judged() -> None:
    assert {one.word for one in judge([])} == {"not measured"}
    # A log without the quantity is no measurement of it.
    assert verdict([run(INV, 0), run(FULL, 0)], "Without the variance term").word == "not measured"


def test_spread_is_in_units_of_one_over_root_d() -> None:
    one = run(BYOL, 0, unit_embedding_std_a=0.05, unit_embedding_std_b=0.05, sphere_std=0.0625)
    assert one.quantity("spread") == pytest.approx(0.8)
    assert verdict([one], "BYOL as published").word == "holds"


def test_a_final_value_is_the_mean_of_the_last_tenth_of_the_log() -> None:
    points = tuple({"step": float(s), "epoch": s / 10, "representation_correlation": float(s)} for s in range(20))
    assert AblationRun(BYOL, 0, "digits", 1.0, points).quantity("correlation") == 18.5


def test_logs_and_records_meet_by_the_backbones_digest(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "byol"
    folder.mkdir(parents=True)
    (folder / "resnet50.pth.json").write_text(json.dumps({"sha256": "a" * 64}))
    line = {"step": 0, "epoch": 0.5, "unit_embedding_std_a": 0.06, "unit_embedding_std_b": 0.06, "sphere_std": 0.0625}
    (folder / "log.jsonl").write_text(json.dumps(line) + "\n")
    for cell, digest in ((BYOL, "a"), (FULL, "b"), ("table1/linear/top1", "a")):
        record(tmp_path / "records", cell, digest * 64)
    found = find_ablations(read_records(tmp_path / "records")[0], tmp_path / "runs")
    assert [(one.cell, one.top1, len(one.points)) for one in found] == [(BYOL, 42.0, 1)]


def record(folder: Path, cell: str, digest: str) -> None:
    settings = Claim("", "", "top1", None, 1.0, cell)
    write_record(
        new_record(
            Measurement(cell, 42.0, 360), checkpoint=CheckpointIdentity(digest, "test", "BYOL"),
            dataset=DatasetIdentity("imagenet", "digits", "f", {"val": 360}), protocol_name="linear-demo",
            named_protocol=settings, used_protocol=settings, seed=0, wall_time_seconds=1.0,
        ),
        folder,
    )  # fmt: skip


def test_figure_4_marks_one_over_root_d_for_each_width() -> None:
    logged = {"unit_embedding_std_a": 0.05, "unit_embedding_std_b": 0.05, "representation_std_a": 0.3}
    simsiam = run("table3/simsiam_sg_pr_bn/no_reg", 0, representation_correlation=0.1, sphere_std=0.125, **logged)
    runs = [run(BYOL, seed, representation_correlation=0.1, sphere_std=0.0625, **logged) for seed in (0, 1)]
    drawn = ablations_section([*runs, simsiam])
    assert drawn is not None
    assert "d = 256; the dashed rule is 1/√d = 0.0625" in drawn and "d = 64; the dashed rule is 1/√d = 0.1250" in drawn
    assert drawn.count('class="reference"') == 2
    assert drawn.count("<figure") == 4
    assert ablations_section([]) is None


def test_curves_are_means_over_seeds() -> None:
    runs = [run(BYOL, seed, representation_correlation=value) for seed, value in ((0, 0.1), (1, 0.3))]
    drawn = ablations_section(runs)
    assert drawn is not None and "BYOL ends at 0.2" in drawn


def test_the_table_shows_every_seeds_values_on_both_sides() -> None:
    runs = [run(INV, 0, 30.0), run(INV, 1, 70.0), run(FULL, 0, 60.0), run(FULL, 1, 61.0)]
    texts = claim_texts(verdict(runs, "worth less: invariance alone"))
    assert texts[3:] == ("30, 70 < (60, 61)", "holds for 1 of 2 seeds")
    written = markdown(runs)
    assert "| table4a/inv/top1 | 1 | 70 |" in written and "30, 70 < (60, 61)" in written


def test_a_claim_of_an_unknown_quantity_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "claims.csv").write_text(
        "claim,source,quantity,lesser,factor,greater\na,b,beauty,,1,table4a/inv/top1\n"
    )
    monkeypatch.setattr("results.ablations.PAPER", tmp_path)
    claims.cache_clear()
    with pytest.raises(Refusal, match="beauty"):
        claims()
    claims.cache_clear()


@pytest.mark.parametrize(
    ("cell", "label", "value"),
    [
        ("table3/byol_me_sg_pr_bn/no_reg", "BYOL", 69.3),
        ("table3/simsiam_sg/var_reg", "SimSiam", 56.8),
        ("table3/vicreg_none/var_cov_reg", "VICReg", 67.4),
        ("table4a/inv/top1", "VICReg", 0.1),
        ("table4b/l2_normalization/top1", "VICReg", 65.1),
        ("table6/width_512/top1", "VICReg", 59.2),
        ("batch_size/256/top1", "VICReg", 67.9),
    ],
)
def test_compare_sets_an_ablations_record_beside_the_papers_number(
    cell: str, label: str, value: float, tmp_path: Path
) -> None:
    settings = PROTOCOLS["linear"]
    below = 0.25 if value > 1 else 0.0
    write_record(
        new_record(
            Measurement(cell, value - below, 50_000), checkpoint=CheckpointIdentity("c" * 64, "test", label),
            dataset=DatasetIdentity("imagenet", "official", "f", {"val": 50_000}), protocol_name="linear",
            named_protocol=settings, used_protocol=settings, seed=0, wall_time_seconds=1.0,
        ),
        tmp_path,
    )  # fmt: skip
    line = next(one for one in compare(read_records(tmp_path)[0]).lines if one.target.cell == cell)
    assert (line.verdict, line.row) == ("within", line.target.row)
    assert line.delta == pytest.approx(-below)
