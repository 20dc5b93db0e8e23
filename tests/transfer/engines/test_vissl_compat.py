"""What the compatibility module changes, and that it is still needed."""

import hashlib
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from transfer.engines import vissl_compat


def test_a_checkpoint_appears_whole_with_its_digest_and_the_one_before_stays(tmp_path: Path) -> None:
    for epoch in range(12):
        vissl_compat.save_atomically(str(tmp_path), {"a": epoch}, f"model_phase{epoch}.torch")
    kept = {"model_phase10.torch", "model_phase11.torch"}
    assert {file.name for file in tmp_path.iterdir()} == kept | {f"{name}.sha256" for name in kept}
    assert torch.load(tmp_path / "model_phase11.torch", weights_only=True) == {"a": 11}
    digest = hashlib.sha256((tmp_path / "model_phase11.torch").read_bytes()).hexdigest()
    assert (tmp_path / "model_phase11.torch.sha256").read_text() == digest + "\n"


def test_the_final_checkpoint_leaves_the_one_before_to_resume_its_test_from(tmp_path: Path) -> None:
    vissl_compat.save_atomically(str(tmp_path), {}, "model_phase2.torch")
    vissl_compat.save_atomically(str(tmp_path), {}, "model_final_checkpoint_phase3.torch")
    assert {file.name for file in tmp_path.iterdir()} == {
        "model_phase2.torch", "model_phase2.torch.sha256", "model_final_checkpoint_phase3.torch",
    }  # fmt: skip


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    vissl_compat.save_atomically(str(tmp_path), {"a": 1}, "model_phase0.torch")
    with pytest.raises((AttributeError, TypeError)):
        vissl_compat.save_atomically(str(tmp_path), {"a": lambda: 0}, "model_phase0.torch")
    assert torch.load(tmp_path / "model_phase0.torch", weights_only=True) == {"a": 1}


def test_the_seed_of_a_phase_does_not_depend_on_what_ran_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def draws() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))

    vissl_compat.seed_phase(4, 6)
    first = draws()
    draws()
    vissl_compat.seed_phase(4, 6)
    assert draws() == first
    seen = {first}
    for seed, phase, rank in ((4, 7, "0"), (5, 6, "0"), (4, 6, "1")):
        monkeypatch.setitem(os.environ, "RANK", rank)
        vissl_compat.seed_phase(seed, phase)
        seen.add(draws())
    assert len(seen) == 4


@pytest.mark.engine
def test_vissl_does_not_log_the_environment() -> None:
    with vissl_compat.quiet():
        vissl_compat.adapt()
        import vissl.engines.train as engine
    assert engine.print_system_env_info({"TOKEN": "secret"}) is None


@pytest.mark.engine
def test_vissl_writes_its_checkpoints_through_ours(tmp_path: Path) -> None:
    with vissl_compat.quiet():
        vissl_compat.adapt()
        from vissl.utils.checkpoint import CheckpointWriter
    CheckpointWriter(str(tmp_path), False, "phase", 0, "disk").save_consolidated_checkpoint({"a": 1})
    CheckpointWriter(str(tmp_path), False, "phase", 1, "disk").save_consolidated_checkpoint({"a": 1})
    kept = {"model_phase0.torch", "model_phase1.torch"}
    assert {file.name for file in tmp_path.glob("model*")} == kept | {f"{name}.sha256" for name in kept}
