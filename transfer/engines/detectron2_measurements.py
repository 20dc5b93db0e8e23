"""The numbers Detectron2 found as measurements of the paper's cells; which number is whose is declared here."""

from collections.abc import Mapping
from typing import Any

from results import sealed
from results.records import Measurement
from results.refusal import Refusal
from transfer.engines.detectron2_task import (
    DETECTIONS_FILE,
    METRICS_FILE,
    PICTURE_FILE,
    PROOF_FILE,
    RESULTS_FILE,
    Task,
)
from transfer.job import Outcome

CELL_NUMBERS: Mapping[str, tuple[str, str]] = {
    "table2/voc0712/AP50": ("bbox", "AP50"),
    "table2/coco_det/AP": ("bbox", "AP"),
    "table2/coco_seg/AP": ("segm", "AP"),
}
"""The number of each cell among Detectron2's, by task and name, fixed before any run.

VOC: its VOC evaluator's AP50, which for the 2007 test set is the 11-point average precision at IoU 0.5, averaged over
the 20 classes, without difficult objects. COCO: the official AP averaged over IoU 0.50 to 0.95, for boxes and masks.
"""


def outcome(task: Task) -> Outcome:
    """What the finished run in `task.folder` measured, whole, with its picture, detections and log.

    Raises:
        Refusal: the results file is damaged.
    """
    path = task.file(RESULTS_FILE)
    proof = sealed.read_json(task.file(PROOF_FILE))["lines"]
    try:
        results = sealed.read_json(path)
        found = tuple(_measurement(cell, results, proof) for cell in task.protocol.cells)
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(f"{path}: not the results of a finished run ({error}); remove the folder to run anew") from error
    files = {"picture": PICTURE_FILE, "predictions": DETECTIONS_FILE, "log": METRICS_FILE}
    return Outcome(
        found,
        accelerator=results["accelerator"],
        attachments={kind: task.file(name) for kind, name in files.items() if task.file(name).exists()},
        extra_deviations=deviations(task),
    )


def deviations(task: Task) -> tuple[str, ...]:
    """What follows from a smaller batch, in the words of the paper's settings."""
    protocol = task.protocol
    if protocol.batch_divisor == 1:
        return ()
    return (
        f"images in a batch: {protocol.images_per_batch} -> {protocol.effective_images_per_batch}",
        f"learning rate: {protocol.base_lr:g} -> {protocol.effective_lr:g}",
        f"iterations: {protocol.iterations} -> {protocol.effective_iterations}",
    )


def _measurement(cell: str, results: dict[str, Any], proof: list[str]) -> Measurement:
    task, name = CELL_NUMBERS[cell]
    value = results["metrics"][task][name]
    if value is None:
        # pycocotools does not score an empty list; a detector that finds nothing has an AP of 0.
        if results["detections"]:
            raise ValueError(f"{task} {name} is not a number")
        value = 0.0
    details = {key: content for key, content in results.items() if key != "accelerator"}
    return Measurement(cell, float(value), int(results["test_images"]), details={**details, "conversion": proof})
