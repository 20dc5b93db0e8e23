"""The command line: help, plan, and one clear line with status 2 for everything that cannot be."""

import subprocess
import sys
from dataclasses import replace

import pytest
import ranks

from pretrain import plan
from pretrain.recipes import NAMED_RECIPES, RECIPES
from pretrain.run import Run, Slurm


def pretrain(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pretrain", *arguments], capture_output=True, text=True, cwd=ranks.ROOT, timeout=120
    )


def test_help_lists_every_recipe_with_hours_and_expected_number_and_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pretrain", "--help"], capture_output=True, text=True, cwd=ranks.ROOT
    )
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    for name in NAMED_RECIPES:
        assert name in text
    assert "11 h on" in text and "68.6" in text and "73.2" in text
    assert "| torch" not in done.stderr


def test_the_plan_needs_neither_data_nor_gpu() -> None:
    done = pretrain("paper", "--dry-run")
    assert done.returncode == 0, done.stderr
    for line in (
        "recipe.view_a.crop_area_min: 0.2", "recipe.loss.variance_halved: False", "recipe.final_lr: 0.002",
        "steps per epoch: 626 for 1,281,167 images", "backbone parameters: 23,508,032",
        "projector parameters: 151,044,096", "learning rate: 0 to 1.6, then to 0.002", "deviations from paper: none",
    ):  # fmt: skip
        assert line in done.stdout
    assert "estimated memory per rank: " in done.stdout


def test_the_plan_for_the_papers_cluster_is_below_what_its_authors_report_and_not_by_half() -> None:
    # The later text reports 11.3 GB (10.5 GiB) per GPU on 32 V100 at batch 2048, in half precision. That includes what
    # the plan leaves out: CUDA's context, cuDNN's workspaces, NCCL's and the gradients' buckets, and fragmentation.
    text = plan.describe("official", RECIPES["official"], Run(), Slurm(nodes=4))
    gib = float(text.split("estimated memory per rank: ")[1].split(" GiB")[0])
    assert "ranks: 32, batch per rank: 64" in text
    assert 0.5 * 10.5 < gib < 10.5


def test_an_overridden_field_shows_as_a_deviation() -> None:
    recipe = replace(RECIPES["demo"], loss=replace(RECIPES["demo"].loss, covariance_weight=0.0))
    text = plan.describe("demo", recipe, Run(), Slurm())
    assert "deviations from demo: loss.covariance_weight: 1.0 -> 0.0" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], ["nonsense"]),
        (["demo", "--run.nonsense", "1"], ["--run.nonsense"]),
        (["demo", "--recipe.epochs", "many"], ["many"]),
        (["demo", "--recipe.epochs", "0"], ["epochs is 0", "at least 1"]),
        (["demo", "--run.data", "nowhere"], ["nowhere"]),
        (["demo", "--run.gradient-accumulation", "2"], ["run.gradient_accumulation is 2", "variance and covariance"]),
        (["demo", "--recipe.view-a.flip-probability", "1.5"], ["flip_probability is 1.5"]),
        (["paper", "--recipe.warmup-epochs", "1000"], ["warmup_epochs is 1000"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_what_cannot_be_is_refused_with_status_2(arguments: list[str], words: list[str]) -> None:
    done = pretrain(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    # Field errors come in tyro's box, which breaks lines.
    text = " ".join((done.stdout + done.stderr).replace("│", " ").split())
    for word in words:
        assert word in text
