"""Detectron2's evaluators with their numbers kept whole, and a collector of every detection for people to look at."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from results import atomic, npz
from transfer.engines import detectron2_compat

detectron2_compat.prepare()

from detectron2.data import MetadataCatalog  # noqa: E402  (only after prepare)
from detectron2.evaluation import (  # noqa: E402
    COCOEvaluator,
    DatasetEvaluator,
    DatasetEvaluators,
    PascalVOCDetectionEvaluator,
    pascal_voc_evaluation,
)
from detectron2.utils import comm  # noqa: E402

from transfer.engines.detectron2_picture import save_picture  # noqa: E402
from transfer.engines.detectron2_task import DETECTIONS_FILE, PICTURE_FILE  # noqa: E402

SHOWN_IMAGES = 9


def build(dataset: str, name: str, folder: Path) -> Any:
    """The evaluators of the registered test set `name`, for Detectron2's loop; files go to `folder`.

    COCO is always scored by the official algorithm: Detectron2's own faster one calls itself unofficial.
    """
    scored = VocEvaluator(name) if dataset == "voc0712" else COCOEvaluator(name, ("bbox", "segm"), use_fast_impl=False)
    return DatasetEvaluators([scored, DetectionCollector(MetadataCatalog.get(name).thing_classes, folder)])


class VocEvaluator(PascalVOCDetectionEvaluator):  # type: ignore[misc]
    """Detectron2's VOC evaluator, which averages over classes, with each class's AP beside its averages.

    `evaluate` returns {"bbox": {"AP", "AP50", "AP75", "AP50-<class>", "AP-<class>", ...}} in percent.
    """

    def evaluate(self) -> dict[str, dict[str, float]] | None:
        """Collective: called on all ranks; the numbers are rank 0's."""
        # It divides by the number of a class's objects, of which a subset may have none.
        with _recorded_curves() as curves, np.errstate(invalid="ignore"):
            results = super().evaluate()
        if results is None:
            return None
        for name in self._class_names:
            by_threshold = {threshold: 100 * ap for (class_name, threshold), ap in curves.items() if class_name == name}
            results["bbox"][f"AP50-{name}"] = by_threshold[0.5]
            results["bbox"][f"AP-{name}"] = float(np.mean(list(by_threshold.values())))
        return {"bbox": {key: float(value) for key, value in results["bbox"].items()}}


@contextmanager
def _recorded_curves() -> Iterator[dict[tuple[str, float], float]]:
    """The AP of each (class, IoU threshold) that Detectron2's evaluator computes while the block runs, from 0 to 1."""
    original = pascal_voc_evaluation.voc_eval
    found: dict[tuple[str, float], float] = {}

    @functools.wraps(original)
    def recording(*args: Any, ovthresh: float, **kwargs: Any) -> Any:
        curve = original(*args, ovthresh=ovthresh, **kwargs)
        found[(args[3], ovthresh)] = float(curve[2])
        return curve

    pascal_voc_evaluation.voc_eval = recording
    try:
        yield found
    finally:
        pascal_voc_evaluation.voc_eval = original


class DetectionCollector(DatasetEvaluator):  # type: ignore[misc]
    """Keeps every detection of the test set and draws those of its first images; it scores nothing."""

    def __init__(self, class_names: list[str], folder: Path) -> None:
        self.class_names = class_names
        self.folder = folder
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.rows: list[dict[str, Any]] = []
        self.shown: list[tuple[str, Any]] = []

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Keep one batch. Detectron2 gives each rank consecutive images, so the first of all are rank 0's."""
        for image, output in zip(inputs, outputs, strict=True):
            instances = output["instances"].to("cpu")
            self.rows.append(
                {
                    "image_id": str(image["image_id"]),
                    "boxes": instances.pred_boxes.tensor.numpy(),
                    "scores": instances.scores.numpy(),
                    "classes": instances.pred_classes.numpy(),
                }
            )
            if comm.is_main_process() and len(self.shown) < SHOWN_IMAGES:
                self.shown.append((image["file_name"], instances))

    def evaluate(self) -> dict[str, Any]:
        """Write the detections and the picture; no numbers."""
        gathered = comm.gather(self.rows, dst=0)
        if comm.is_main_process():
            rows = [row for rank_rows in gathered for row in rank_rows]
            save_detections(rows, self.class_names, self.folder / DETECTIONS_FILE)
            save_picture(self.shown, self.class_names, self.folder / PICTURE_FILE)
        return {}


def save_detections(rows: list[dict[str, Any]], class_names: list[str], path: Path) -> None:
    """One entry a detection: image_id, box (x0, y0, x1, y1 in pixels), score, class; and class_names, image_ids."""
    counts = [len(row["scores"]) for row in rows]
    content: dict[str, Any] = {
        "image_ids": np.array([row["image_id"] for row in rows]),
        "image": np.repeat(np.arange(len(rows)), counts),
        "boxes": np.concatenate([row["boxes"] for row in rows]).astype(np.float32),
        "scores": np.concatenate([row["scores"] for row in rows]).astype(np.float32),
        "classes": np.concatenate([row["classes"] for row in rows]).astype(np.int16),
        "class_names": np.array(class_names),
    }
    with atomic.atomic_file(path) as file:
        np.savez_compressed(file, **content)


def detection_count(path: Path) -> int:
    """How many detections `save_detections` wrote."""
    return len(npz.read(path)["scores"])
