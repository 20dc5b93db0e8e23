"""Per-image predictions kept beside the records, read back for the paired bootstrap and the per-class figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results import npz
from results.records import Record
from results.refusal import Refusal, one_line

KIND = "predictions"
LARGEST_DIFFERENCE = 1e-3
"""In percentage points, between a record's number and its predictions': rounding, and no image of any test set."""


@dataclass(frozen=True)
class Predictions:
    """What one checkpoint said about each test image; `correct` is by the metric of the cell (top-1 or top-5).

    `labels` (n,) and `images` (n,) are None where the file does not hold them.
    """

    correct: NDArray[np.bool_]
    labels: NDArray[np.int64] | None
    images: Sequence[bytes] | None


def read_predictions(record: Record, folder: Path) -> Predictions | None:
    """The predictions attached to a record of `folder`; None when it has none of the kind that can be paired.

    Raises:
        Refusal: the file is missing or damaged.
    """
    name = record.attachments.get(KIND)
    if name is None or not name.endswith(".npz"):
        return None
    try:
        found = _from_arrays(npz.read(folder / name), 5 if record.cell.endswith("/top5") else 1)
    except ValueError as error:
        raise Refusal(f"{folder / name} does not hold predictions: {one_line(error)}") from error
    if found is not None:
        _refuse_anothers(record, found, folder / name)
    return found


def _from_arrays(arrays: dict[str, Any], count: int) -> Predictions | None:
    """Arrays of any shape may come from elsewhere; ValueError where they are not one answer, or five, an image."""
    _check_shapes(arrays)
    labels = arrays.get("labels", arrays.get("label"))
    ranked = arrays.get("ranked")
    if ranked is None and "prediction" in arrays:
        ranked = arrays["prediction"][:, None]
    if ranked is not None and labels is not None and count <= ranked.shape[1]:
        correct = (ranked[:, :count] == labels[:, None]).any(axis=1)
    elif "correct" in arrays and count == 1:
        correct = arrays["correct"].astype(bool)
    else:
        return None
    images = arrays.get("images")
    return Predictions(correct, labels, None if images is None else images.tolist())


def _check_shapes(arrays: dict[str, Any]) -> None:
    dimensions = {"labels": 1, "label": 1, "images": 1, "prediction": 1, "correct": 1, "ranked": 2}
    kinds = {"labels": "iu", "label": "iu", "prediction": "iu", "ranked": "iu", "correct": "biu", "images": "SU"}
    known = {name: array for name, array in arrays.items() if name in dimensions}
    for name, array in known.items():
        if array.ndim != dimensions[name] or array.dtype.kind not in kinds[name]:
            raise ValueError(f"{name} has {array.ndim} dimensions of type {array.dtype}")
    if len({len(array) for array in known.values()}) > 1 or not all(map(len, known.values())):
        raise ValueError(f"different numbers of images: { {name: len(array) for name, array in known.items()} }")


def _refuse_anothers(record: Record, found: Predictions, path: Path) -> None:
    """Raises Refusal where the predictions do not give the record's own number."""
    measurement = record.measurement
    accuracy = 100 * float(found.correct.mean())
    if len(found.correct) != measurement.sample_count or abs(accuracy - measurement.value) > LARGEST_DIFFERENCE:
        raise Refusal(
            f"{path} gives {accuracy:.3f} on {len(found.correct)} images, its record {measurement.value:.3f} on "
            f"{measurement.sample_count}: it is another measurement's"
        )


def pair(ours: Predictions, theirs: Predictions) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Both checkpoints' answers on the same images in the same order.

    Raises:
        Refusal: the two files are about different images.
    """
    same_length = len(ours.correct) == len(theirs.correct)
    same_images = ours.images is None or theirs.images is None or ours.images == theirs.images
    same_labels = (
        ours.labels is None or theirs.labels is None or (same_length and bool(np.all(ours.labels == theirs.labels)))
    )
    if not (same_length and same_images and same_labels):
        raise Refusal("their predictions are about different images or in another order")
    return ours.correct, theirs.correct
