"""Per-image predictions kept beside the records, read back for the paired bootstrap and the per-class figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results import npz
from results.records import Record
from results.refusal import Refusal

KIND = "predictions"


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
    return _from_arrays(npz.read(folder / name), 5 if record.cell.endswith("/top5") else 1)


def _from_arrays(arrays: dict[str, Any], count: int) -> Predictions | None:
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
