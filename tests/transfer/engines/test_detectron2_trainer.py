"""What the trainer adds to Detectron2's configuration: nothing that the protocol prescribes."""

from dataclasses import replace
from pathlib import Path

import pytest

from transfer.detection_protocols import COCO, VOC0712
from transfer.engines.detectron2_task import Task

pytestmark = pytest.mark.engine


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
