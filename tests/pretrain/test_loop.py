"""A run from images to a backbone file: what it writes, and that a signal, a resume or a NaN loses nothing."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import small
import torch

from pretrain import checkpoint, launch, loop
from pretrain.interrupt import REQUEUE_STATUS
from pretrain.journal import read_metrics
from pretrain.recipes import RECIPES
from pretrain.resnet import resnet50
from pretrain.run import Run

KEYS = {
    "step", "epoch", "loss", "invariance", "variance", "covariance", "lr", "grad_norm", "representation_std_a",
    "representation_std_b", "embedding_std_a", "embedding_std_b", "representation_correlation", "images_per_second",
    "data_wait_share", "peak_memory_bytes", "unit_embedding_std_a", "unit_embedding_std_b", "sphere_std",
    "unreadable_images",
}  # fmt: skip
MEASURED_TIME = {"images_per_second", "data_wait_share", "peak_memory_bytes"}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("pretrain.loop.track", lambda items, _: items)


def run_in(folder: Path, images: Path) -> Run:
    return Run(
        data=images, output=folder, device="cpu", workers=0, threads=1, precision="float32", log_every_steps=1,
        tensorboard=False,
    )  # fmt: skip


def train(folder: Path, images: Path, **changes: Any) -> int:
    return launch.train_here("demo", replace(small.RECIPE, **changes), run_in(folder, images))


def losses(folder: Path) -> list[dict[str, Any]]:
    lines = read_metrics(folder / "log.jsonl")
    return [{key: value for key, value in line.items() if key not in MEASURED_TIME} for line in lines]


@pytest.fixture(scope="module")
def whole(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    assert train(folder, images) == 0
    return folder


def test_a_run_writes_backbone_card_states_and_a_line_per_step(whole: Path) -> None:
    weights = torch.load(whole / "resnet50.pth", weights_only=True)
    resnet50().load_state_dict(weights, strict=True)
    card = json.loads((whole / "resnet50.pth.json").read_text())
    assert card["sha256"] == small.digest(whole / "resnet50.pth")
    assert (card["label"], card["recipe"], card["step"], card["epoch"]) == ("VICReg", "demo", 6, 2.0)
    assert any(line.startswith("projector_width: 512 -> 16") for line in card["deviations"])
    assert card["dataset"]["counts"]["train"] == 20
    lines = read_metrics(whole / "log.jsonl")
    assert [line["step"] for line in lines] == list(range(6))
    assert all(set(line) == KEYS for line in lines)
    assert [path.name for path in sorted((whole / "checkpoints").glob("*.pt"))] == [
        "step_000000003.pt",
        "step_000000006.pt",
    ]


def test_the_learning_rate_logged_is_the_recipes(whole: Path) -> None:
    rates = [line["lr"] for line in read_metrics(whole / "log.jsonl")]
    peak = 3.2 * 8 / 256
    assert rates[:4] == pytest.approx([0, peak / 3, 2 * peak / 3, peak])
    assert all(0.002 < rate < peak for rate in rates[4:])


def test_running_batch_norm_statistics_moved_twice_per_step(whole: Path) -> None:
    # Once for each view, as in the released code.
    weights = torch.load(whole / "resnet50.pth", weights_only=True)
    assert int(weights["bn1.num_batches_tracked"]) == 2 * 6


@pytest.mark.parametrize(("number", "step"), [(signal.SIGTERM, 1), (signal.SIGUSR1, 4)])
def test_a_signal_saves_at_the_next_step_and_the_resumed_run_is_bit_identical(
    number: int, step: int, whole: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_step = loop.Training.take_step

    def struck(self: loop.Training, batch: Any) -> None:
        if self.step == step:
            os.kill(os.getpid(), number)
        take_step(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(loop.Training, "take_step", struck)
        assert train(tmp_path, images) == REQUEUE_STATUS
    assert not (tmp_path / "resnet50.pth").exists()
    assert (tmp_path / "checkpoints" / f"step_{step + 1:09d}.pt").exists()
    assert train(tmp_path, images) == 0
    assert small.digest(tmp_path / "resnet50.pth") == small.digest(whole / "resnet50.pth")
    assert losses(tmp_path) == losses(whole)


def test_a_crash_after_logging_repeats_the_steps_and_the_lines_once(
    whole: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_step = loop.Training.take_step

    def crash(self: loop.Training, batch: Any) -> None:
        take_step(self, batch)
        if self.step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop.Training, "take_step", crash)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, images)
    assert [line["step"] for line in losses(tmp_path)] == list(range(5))
    assert train(tmp_path, images) == 0
    assert losses(tmp_path) == losses(whole)
    assert small.digest(tmp_path / "resnet50.pth") == small.digest(whole / "resnet50.pth")


def test_a_loss_that_is_not_finite_stops_names_the_term_and_keeps_the_last_good_state(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take_step = loop.Training.take_step

    def poison(self: loop.Training, batch: Any) -> None:
        if self.step == 4:
            with torch.no_grad():
                self.method.projector[6].weight.mul_(float("inf"))
        take_step(self, batch)

    monkeypatch.setattr(loop.Training, "take_step", poison)
    assert train(tmp_path, images) == loop.DIVERGED_STATUS
    assert "step 4: the invariance term is nan" in capsys.readouterr().out
    last = checkpoint.last_state(tmp_path)
    assert last is not None and last.name == "step_000000003.pt"
    assert checkpoint.all_finite(list(checkpoint.load_state(last)["method"].values()))
    assert not (tmp_path / "resnet50.pth").exists()
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert any(line.get("event") == "stopped" and "invariance" in line["reason"] for line in events)


def test_another_recipe_or_seed_in_the_same_folder_is_refused(whole: Path, images: Path) -> None:
    with pytest.raises(ValueError, match=r"recipe hash .* repeat the first command, or choose another --run\.output"):
        train(whole, images, epochs=3)
    with pytest.raises(ValueError, match="whose seed is 0, this command's is 1"):
        launch.train_here("demo", small.RECIPE, replace(run_in(whole, images), seed=1))


def test_a_finished_run_is_done_already(whole: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (whole / "resnet50.pth").stat().st_mtime_ns
    assert train(whole, images) == 0
    assert "done already" in capsys.readouterr().out
    assert (whole / "resnet50.pth").stat().st_mtime_ns == before


def test_every_named_recipe_can_be_built() -> None:
    from pretrain.methods import build

    for name, recipe in RECIPES.items():
        with torch.device("meta"):
            assert build(recipe).backbone.out_features == 2048, name


@pytest.mark.parametrize(("images", "steps_per_epoch"), [(1437, 12), (1408, 11)])
def test_the_speed_counts_each_image_of_an_epoch_once_however_short_its_last_batch(
    images: int, steps_per_epoch: int
) -> None:
    training = SimpleNamespace(
        recipe=RECIPES["demo"], images=SimpleNamespace(paths=range(images)), steps_per_epoch=steps_per_epoch, step=0
    )
    assert training.recipe.global_batch_size == 128
    counted = 0
    for training.step in range(3 * steps_per_epoch):
        counted += loop.Training._batch_images(training)  # type: ignore[arg-type]
    assert counted == 3 * images
