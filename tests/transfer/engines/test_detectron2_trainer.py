"""What the trainer adds to Detectron2's configuration: nothing that the protocol prescribes."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.utils.data import DataLoader

from transfer.detection_protocols import COCO, VOC0712
from transfer.engines.detectron2_task import Task

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("is_eager", [False, True], ids=["newer Detectron2", "Detectron2 0.6"])
def test_a_resumed_trainer_reads_on_where_the_checkpoint_ended(is_eager: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from transfer.engines.detectron2_stream import Batches
    from transfer.engines.detectron2_trainer import DefaultTrainer, Trainer

    def resume(self: Any, resume: bool = True) -> None:
        self.start_iter = 7

    monkeypatch.setattr(DefaultTrainer, "resume_or_load", resume)
    by_key = {(index, index): index for index in range(60)}
    loader = DataLoader(by_key, batch_sampler=Batches(lambda: iter(range(60)), [False] * 60, 2), collate_fn=list)
    trainer = Trainer.__new__(Trainer)
    trainer._trainer = SimpleNamespace(data_loader=loader)
    if is_eager:  # 0.6 opens its loader before it resumes
        trainer._trainer._data_loader_iter = iter(loader)
    trainer.resume_or_load()
    read = trainer._trainer._data_loader_iter if is_eager else iter(loader)
    assert next(read) == [14, 15]


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
