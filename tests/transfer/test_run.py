"""What a machine may provide: how many of its GPUs take part when nobody says."""

import pytest
import torch

from transfer.detection_protocols import PROTOCOLS as DETECTORS
from transfer.engines import detectron2_process
from transfer.engines.detectron2_task import Task
from transfer.run import even_share


@pytest.mark.parametrize(
    ("found", "batch", "share"), [(0, 16, 1), (1, 16, 1), (8, 16, 8), (6, 16, 4), (7, 256, 4), (8, 2, 2), (3, 5, 1)]
)
def test_as_many_gpus_take_part_as_share_the_batch_evenly(found: int, batch: int, share: int) -> None:
    assert even_share(found, batch) == share


@pytest.mark.parametrize("gpus", range(1, 9))
@pytest.mark.parametrize("name", ["voc0712", "coco", "voc0712-demo", "coco-demo", "coco-demo-long"])
def test_every_detector_starts_on_any_number_of_gpus(name: str, gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    protocol = DETECTORS[name]
    for nodes in (1, 2):
        task = Task(protocol, "x", "data", "run", seed=0, limit=0, workers=0, device="auto", nodes=nodes)
        device, processes = detectron2_process.devices(task)
        assert device == "cuda" and 1 <= processes <= gpus
        detectron2_process.check_ranks(protocol, device, processes * nodes)
