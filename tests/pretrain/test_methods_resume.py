"""BYOL, SimSiam, and VICReg with fp16's loss scaling, stopped and resumed, end with an uninterrupted run's bits."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small
import torch

from pretrain import checkpoint, launch, loop
from pretrain.interrupt import REQUEUE_STATUS
from pretrain.recipes import RECIPES
from pretrain.run import Run
from pretrain.settings import Recipe

ROWS = ("demo-table3-byol-me-sg-pr-bn-var-cov-reg", "demo-table3-simsiam-sg-pr-bn-var-cov-reg")


def short(name: str) -> Recipe:
    return replace(
        RECIPES[name], global_batch_size=8, epochs=2, projector_width=16, train_images=20, class_count=2
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_a_method_with_a_state_of_its_own_resumes_bit_identically(
    name: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, struck = stopped_and_resumed(name, images, tmp_path, monkeypatch)
    assert small.digest(struck / "resnet50.pth") == small.digest(whole / "resnet50.pth")


@pytest.mark.slow
def test_the_scale_of_fp16s_loss_resumes_where_it_was(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # fp16 is refused on CPUs because nobody would want it there, not because it would not run.
    monkeypatch.setattr("pretrain.machine.precision", lambda run, device: torch.float16)
    whole, struck = stopped_and_resumed("demo", images, tmp_path, monkeypatch)
    states = [checkpoint.last_state(folder) for folder in (whole, struck)]
    scalers = [checkpoint.load_state(state)["scaler"] for state in states if state is not None]
    assert scalers[0] == scalers[1]
    assert scalers[0]["scale"] < 2.0**16 or scalers[0]["_growth_tracker"] == 6  # its steps, none counted twice
    assert small.digest(struck / "resnet50.pth") == small.digest(whole / "resnet50.pth")


def stopped_and_resumed(name: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two run folders: one of a run that nothing disturbed, one of a run that got SIGTERM in its third step."""
    torch.set_num_threads(1)
    monkeypatch.setattr("pretrain.loop.track", lambda items, _: items)
    take_step = loop.Training.take_step

    def struck(self: loop.Training, batch: Any) -> None:
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        take_step(self, batch)

    def train(folder: Path) -> int:
        run = Run(
            data=images, output=folder, device="cpu", workers=0, threads=1, precision="float32", tensorboard=False
        )
        return launch.train_here(name, short(name), run)

    assert train(tmp_path / "whole") == 0
    with monkeypatch.context() as patched:
        patched.setattr(loop.Training, "take_step", struck)
        assert train(tmp_path / "struck") == REQUEUE_STATUS
    assert train(tmp_path / "struck") == 0
    return tmp_path / "whole", tmp_path / "struck"
