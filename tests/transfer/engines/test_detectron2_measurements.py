"""Which number is which cell's is fixed; everything else Detectron2 found goes along; a missing number is no zero."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from results import sealed
from results.refusal import Refusal
from transfer.detection_protocols import COCO, VOC0712, DetectionProtocol
from transfer.engines import detectron2_measurements as measurements
from transfer.engines.detectron2_task import Task, read_task, write_task

BOX = {"AP": 39.4, "AP50": 60.0, "AP75": 42.0, "APs": 20.0, "APm": 43.0, "APl": 51.0, "AP-cat": 70.0}
MASK = {"AP": 36.4, "AP50": 57.0, "AP75": 39.0, "APs": 17.0, "APm": 39.0, "APl": 53.0, "AP-cat": None}


def task(folder: Path, protocol: DetectionProtocol) -> Task:
    return Task(protocol, "x.pth", "data", str(folder), seed=0, limit=0, workers=0, device="cpu")


def finished(folder: Path, protocol: DetectionProtocol, metrics: dict[str, Any], detections: int = 10) -> Task:
    results = {
        "metrics": metrics, "test_images": 5000, "detections": detections, "iterations": 90_000,
        "accelerator": "8 x GPU", "coco_api": "pycocotools",
    }  # fmt: skip
    sealed.write_json(folder / "results.json", results)
    sealed.write_json(folder / "proof.json", {"lines": ["318 of 318"]})
    return task(folder, protocol)


def test_coco_fills_two_cells_with_box_and_mask_ap_and_keeps_all_numbers(tmp_path: Path) -> None:
    outcome = measurements.outcome(finished(tmp_path, COCO, {"bbox": BOX, "segm": MASK}))
    values = {one.cell: (one.value, one.sample_count) for one in outcome.measurements}
    assert values == {"table2/coco_det/AP": (39.4, 5000), "table2/coco_seg/AP": (36.4, 5000)}
    for measurement in outcome.measurements:
        assert measurement.details["metrics"] == {"bbox": BOX, "segm": MASK}
        assert measurement.details["conversion"] == ["318 of 318"]
    assert outcome.accelerator == "8 x GPU"


def test_voc_fills_its_cell_with_ap50_and_not_with_ap(tmp_path: Path) -> None:
    outcome = measurements.outcome(finished(tmp_path, VOC0712, {"bbox": {"AP": 57.0, "AP50": 82.4, "AP75": 63.6}}))
    assert [(one.cell, one.value, one.unit) for one in outcome.measurements] == [
        ("table2/voc0712/AP50", 82.4, "percent")
    ]


def test_finding_nothing_at_all_is_an_ap_of_zero(tmp_path: Path) -> None:
    nothing = {"bbox": {"AP": None}, "segm": {"AP": None}}
    outcome = measurements.outcome(finished(tmp_path, COCO, nothing, detections=0))
    assert [one.value for one in outcome.measurements] == [0.0, 0.0]


def test_a_number_that_is_missing_although_something_was_found_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="bbox AP is not a number"):
        measurements.outcome(finished(tmp_path, COCO, {"bbox": {"AP": None}, "segm": MASK}))


@pytest.mark.parametrize("content", ["", "{", "{}", '{"metrics": {}}'])
def test_a_damaged_results_file_is_refused_with_what_to_do(content: str, tmp_path: Path) -> None:
    sealed.write_json(tmp_path / "proof.json", {"lines": []})
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(Refusal, match="remove the folder to run anew"):
        measurements.outcome(task(tmp_path, COCO))


def test_a_smaller_batch_is_three_deviations_in_the_papers_words(tmp_path: Path) -> None:
    halved = replace(VOC0712, batch_divisor=2)
    outcome = measurements.outcome(finished(tmp_path, halved, {"bbox": {"AP50": 80.0}}))
    assert outcome.extra_deviations == (
        "images in a batch: 16 -> 8",
        "learning rate: 0.05 -> 0.025",
        "iterations: 24000 -> 48000",
    )
    assert measurements.outcome(finished(tmp_path, VOC0712, {"bbox": {"AP50": 80.0}})).extra_deviations == ()


def test_only_files_that_exist_are_attached_under_distinct_endings(tmp_path: Path) -> None:
    (tmp_path / "detections.png").write_bytes(b"")
    (tmp_path / "metrics.jsonl").write_bytes(b"")
    outcome = measurements.outcome(finished(tmp_path, COCO, {"bbox": BOX, "segm": MASK}))
    assert {kind: path.name for kind, path in outcome.attachments.items()} == {
        "picture": "detections.png",
        "log": "metrics.jsonl",
    }
    # A file that ends in .json among the records would be taken for one.
    assert ".json" not in {path.suffix for path in outcome.attachments.values()}


def test_a_task_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    written = replace(task(tmp_path, COCO), nodes=2, node_rank=1, rendezvous="tcp://h:1")
    path = write_task(written)
    assert path.name == "node1-task.json"
    assert read_task(path) == written
