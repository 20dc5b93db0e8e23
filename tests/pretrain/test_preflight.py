"""Each refusal names the field, what was found and the remedy."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest
import small

from pretrain import preflight
from pretrain.branches import BranchRecipe
from pretrain.run import Run, Slurm
from pretrain.settings import LossRecipe, Recipe, ViewRecipe
from results.refusal import Refusal


def test_a_batch_that_ranks_cannot_share_is_refused_with_a_number_that_can() -> None:
    with pytest.raises(Refusal, match=r"global_batch_size is 8, which 3 ranks cannot share evenly; start 2 ranks"):
        preflight.check_batch(small.RECIPE, 3, 20)


def test_a_last_batch_too_small_for_a_variance_is_refused() -> None:
    with pytest.raises(Refusal, match=r"1 of 17 images, too few for a variance .* --recipe\.last-batch drop"):
        preflight.check_batch(small.RECIPE, 1, 17)
    with pytest.raises(Refusal, match=r"3 of 19 images, too few for a variance on 4 ranks"):
        preflight.check_batch(small.RECIPE, 4, 19)
    preflight.check_batch(replace(small.RECIPE, last_batch="drop"), 4, 19)


def test_dropping_the_only_batch_is_refused() -> None:
    with pytest.raises(Refusal, match="7 images do not fill one batch of 8"):
        preflight.check_batch(replace(small.RECIPE, last_batch="drop"), 1, 7)


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(Refusal, match="global_batch_size is 1; it must be 2, for a variance"):
        replace(small.RECIPE, global_batch_size=1)


def test_unexpected_counts_are_a_warning_or_with_strict_an_error(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = replace(small.RECIPE, train_images=1_281_167, class_count=1000)
    found = preflight.training_images(recipe, Run(data=images))
    assert len(found.listed.paths) == 20
    warning = capsys.readouterr().err
    assert "20 training images in 2 classes, the recipe expects 1,281,167 in 1,000" in warning
    with pytest.raises(Refusal, match="20 training images in 2 classes"):
        preflight.training_images(recipe, Run(data=images, strict=True))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="train"):
        preflight.training_images(small.RECIPE, Run(data=tmp_path))
    for split in ("train", "val"):
        (tmp_path / split / "a").mkdir(parents=True)
    with pytest.raises(Refusal, match="no images"):
        preflight.training_images(small.RECIPE, Run(data=tmp_path))


def test_a_limited_set_says_so_in_its_identity(images: Path) -> None:
    found = preflight.training_images(small.RECIPE, Run(data=images, limit=10))
    assert 8 <= len(found.listed.paths) <= 12
    assert "training images, seed 0" in found.identity.subset


CARD = {"recipe_hash": "a", "seed": 0, "dataset": {"fingerprint": "b"}}


@pytest.mark.parametrize("damage", ["", '{"recipe_h', "null", "\x00"])
def test_a_damaged_card_is_passed_over_for_the_one_before(damage: str, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for step, text in ((1, json.dumps(CARD)), (2, damage)):
        (tmp_path / "checkpoints" / f"step_{step:09d}.pt").touch()
        (tmp_path / "checkpoints" / f"step_{step:09d}.pt.json").write_text(text)
    (tmp_path / "resnet50.pth").touch()
    (tmp_path / "resnet50.pth.json").write_text(damage)
    preflight.check_folder(tmp_path, small.RECIPE, CARD)
    assert not preflight.is_done(tmp_path, small.RECIPE)
    with pytest.raises(Refusal, match="a run whose seed is 0, this command's is 1"):
        preflight.check_folder(tmp_path, small.RECIPE, {**CARD, "seed": 1})


def test_gradient_accumulation_is_refused_with_the_reason() -> None:
    with pytest.raises(Refusal, match="would silently change the variance and covariance terms"):
        Run(gradient_accumulation=4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": -1}, r"run\.seed is -1"),
        ({"workers": -1}, r"run\.workers"),
        ({"threads": 0}, r"run\.threads"),
        ({"keep_checkpoints": 0}, r"run\.keep"),
    ],
)
def test_settings_of_the_machine_are_bounded(changes: dict[str, int], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        Run(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("hours", [0, -1, math.nan, math.inf])
def test_settings_of_the_cluster_are_bounded(hours: float) -> None:
    with pytest.raises(Refusal, match=rf"slurm\.hours is {hours}"):
        Slurm(hours=hours)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("settings", [Recipe(), LossRecipe(), ViewRecipe(), BranchRecipe()], ids=lambda one: type(one))
def test_no_setting_of_a_recipe_may_be_infinite_or_no_number(
    settings: Recipe | LossRecipe | ViewRecipe | BranchRecipe, value: float
) -> None:
    names = [one.name for one in fields(settings) if "float" in str(one.type)]
    assert names
    for name in names:
        with pytest.raises(Refusal, match=f"{name}.* is .*{value}"):
            replace(settings, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("momentum", -0.1), ("momentum", 1.0), ("weight_decay", -1e-6)])
def test_momentum_and_weight_decay_are_bounded(name: str, value: float) -> None:
    with pytest.raises(Refusal, match=f"{name} is {value}"):
        replace(small.RECIPE, **{name: value})  # type: ignore[arg-type]
