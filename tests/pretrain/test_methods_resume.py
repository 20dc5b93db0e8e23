"""BYOL and SimSiam, killed and resumed, end with the bits of an uninterrupted run: target, momentum and rates."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small
import torch

from pretrain import launch, loop
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
    assert small.digest(tmp_path / "struck" / "resnet50.pth") == small.digest(tmp_path / "whole" / "resnet50.pth")
