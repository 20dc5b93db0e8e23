"""What a card says about its pretraining reaches the record: only the row's own pretraining counts for the row."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_trunk import measure, records_of

from evaluate import work
from evaluate.job import Job, Outcome
from evaluate.pretraining import pretraining_deviations
from pretrain.recipes import RECIPES
from results.expectations import judge_digits
from results.groups import group_records
from results.records import CheckpointIdentity, DatasetIdentity, Measurement
from results.settings import settings_hash

LINEAR = "table1/linear/top1"
WIDTH_256 = "table6/width_256/top1"


def card(recipe: str, corpus: str = "official", subset: str = "", **other: Any) -> dict[str, Any]:
    epochs = RECIPES[recipe].epochs
    return {
        "label": RECIPES[recipe].method,
        "recipe": recipe,
        "recipe_hash": settings_hash(RECIPES[recipe]),
        "settings": {"epochs": epochs},
        "deviations": [],
        "epoch": float(epochs),
        "dataset": {"corpus": corpus, "subset": subset},
        **other,
    }


def said(content: dict[str, Any], cell: str = LINEAR, label: str = "VICReg", corpus: str = "official") -> list[str]:
    data = DatasetIdentity("imagenet", corpus, "0" * 64, {})
    lines = pretraining_deviations(content, cell, CheckpointIdentity("0" * 64, "file", label), data)
    assert all(line.startswith("pretraining: ") for line in lines)
    return [line.removeprefix("pretraining: ") for line in lines]


@pytest.mark.parametrize(
    ("recipe", "cell", "label"),
    [
        ("paper", LINEAR, "VICReg"),
        ("official", "table5/knn_20/top1", "VICReg"),
        ("official", "table2/voc07/mAP", "VICReg"),
        ("barlow-twins", LINEAR, "Barlow Twins"),
        ("width-256", WIDTH_256, "VICReg"),
        # Table 4b's default is B.5's 100 epochs under another name, and so is Table 4a's last row.
        ("official-100", "table4b/default/top1", "VICReg"),
        ("table4a-inv-var-cov", "table4b/default/top1", "VICReg"),
        ("official-100", LINEAR, "my short run"),
    ],
)
def test_the_rows_own_pretraining_is_no_deviation(recipe: str, cell: str, label: str) -> None:
    assert said(card(recipe), cell, label) == []


@pytest.mark.parametrize(
    ("content", "cell", "expected"),
    [
        (card("official-100"), LINEAR, ["recipe official-100 instead of paper or official"]),
        (card("width-256"), "table2/coco_det/AP", ["recipe width-256 instead of paper or official"]),
        (card("demo", "digits"), LINEAR, ["recipe demo instead of paper or official", "on the digits corpus"]),
        (card("official", "other"), LINEAR, ["on other data than the published ImageNet"]),
        (card("official", subset="512 images"), LINEAR, ["subset 512 images"]),
        (card("official", epoch=300.0), LINEAR, ["stopped after epoch 300 of 1000"]),
        (card("official", recipe_hash="x", deviations=["epochs: 1000 -> 5"]), LINEAR, ["epochs: 1000 -> 5"]),
        (card("width-512"), WIDTH_256, ["recipe width-512 instead of width-256"]),
        (card("paper"), WIDTH_256, ["recipe paper instead of width-256"]),
        ({}, WIDTH_256, ["no card beside the checkpoint says that it is width-256"]),
        ({}, LINEAR, []),
    ],
)
def test_any_other_pretraining_is_named(content: dict[str, Any], cell: str, expected: list[str]) -> None:
    assert said(content, cell) == expected


def test_byol_after_100_epochs_is_not_table_1s_byol() -> None:
    assert said(card("figure2-byol-100"), label="BYOL") == ["recipe figure2-byol-100 instead of figure2-byol-1000"]


def test_on_digits_the_demos_recipes_are_expected() -> None:
    assert said(card("demo", "digits"), corpus="digits") == []
    assert said(card("demo-table4a-inv", "digits"), "table4a/inv/top1", corpus="digits") == []
    assert said(card("table4a-inv", "digits"), "table4a/inv/top1", corpus="digits")
    assert said(card("demo", "digits", "512 images"), corpus="digits") == ["subset 512 images"]
    assert said(card("official", "digits"), corpus="digits") == ["recipe official instead of demo"]


@pytest.mark.parametrize(("epochs", "verdict"), [(12.0, "not run"), (1.0, "deviates")])
def test_the_record_of_a_carded_checkpoint_is_judged_by_its_pretraining(
    epochs: float, verdict: str, digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(job: Job, _: object) -> Outcome:
        return Outcome((Measurement(LINEAR, 99.0, 360),), {LINEAR: ""}, 1.0)

    monkeypatch.setattr(work, "measure", measured)
    path = tmp_path / "resnet50.pth"
    path.write_bytes(b"\x80 weights")
    path.with_name("resnet50.pth.json").write_text(json.dumps(card("demo", "digits", epoch=epochs)))
    measure(
        tmp_path, digits_root, "linear-demo", epochs=12, global_batch_size=64, run={"checkpoint": str(path), "limit": 0}
    )
    record = records_of(tmp_path)[LINEAR]
    assert record.deviations == (() if epochs == 12 else ("pretraining: stopped after epoch 1 of 12",))
    # Good as its number is, the control is missing; what deviates is not even asked for one.
    assert [line.verdict for line in judge_digits(group_records([record]))] == [verdict]
