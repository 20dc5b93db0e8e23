"""What the trainer adds to Detectron2's: where a resumed run starts, which images it sees, what it keeps."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from transfer.detection_protocols import COCO, VOC0712
from transfer.engines.detectron2_task import Task

pytestmark = pytest.mark.engine


def test_every_rank_and_session_draws_other_images_and_a_repetition_the_same() -> None:
    from transfer.engines.detectron2_trainer import session_seed

    seeds = [session_seed(0, rank, iteration) for rank in range(8) for iteration in (0, 1000, 23_000, 89_000)]
    assert len(set(seeds)) == len(seeds)
    # NumPy refuses seeds of more than 32 bits; the longest run has 90,000 iterations, or 1,440,000 on small batches.
    assert all(0 <= seed < 2**32 for seed in [*seeds, session_seed(4, 7, 1_440_000)])
    assert session_seed(3, 1, 0) == 4


def test_a_run_without_checkpoint_starts_at_0_and_with_one_after_it(tmp_path: Path) -> None:
    from transfer.engines.detectron2_trainer import last_iteration

    assert last_iteration(tmp_path) == 0
    torch.save({"iteration": 999, "model": {}}, tmp_path / "model_0000999.pth")
    (tmp_path / "last_checkpoint").write_text("model_0000999.pth")
    assert last_iteration(tmp_path) == 1000


def test_the_runs_own_settings_change_nothing_that_the_protocol_prescribes(tmp_path: Path) -> None:
    from transfer.engines.detectron2_config import configuration
    from transfer.engines.detectron2_trainer import run_configuration

    for protocol in (VOC0712, COCO, replace(VOC0712, batch_divisor=2)):
        task = Task(protocol, "x", "data", str(tmp_path), seed=3, limit=0, workers=5, device="cpu")
        used = run_configuration(task, ("a", "b"), ("c",), "cpu")
        plain = configuration(protocol)
        changed = {
            f"{group}.{name}"
            for group in ("MODEL", "INPUT", "DATASETS", "DATALOADER", "SOLVER", "TEST")
            for name in plain[group]
            if used[group][name] != plain[group][name]
        }
        here = {"MODEL.WEIGHTS", "MODEL.DEVICE", "DATASETS.TRAIN", "DATASETS.TEST", "DATALOADER.NUM_WORKERS"}
        assert changed == here | {"SOLVER.CHECKPOINT_PERIOD"}
        assert used.SEED == 3
