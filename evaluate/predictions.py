"""Per-image predictions as a file, so that two checkpoints can be compared image by image (paired bootstrap)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from results import atomic, npz
from results.refusal import Refusal, one_line


@dataclass(frozen=True)
class Predictions:
    """What was predicted for each validation image, in the order of the listing.

    `images` are "<class>/<file>" names; `labels` (n,) are true classes; `ranked` (n, 5) the best classes, best first,
    -1 where fewer classes exist or were voted for.
    """

    images: Sequence[str]
    labels: NDArray[np.int64]
    ranked: NDArray[np.int64]

    def correct(self, count: int) -> NDArray[np.bool_]:
        """Whether the true class is among the first `count` (n,)."""
        hits: NDArray[np.bool_] = (self.ranked[:, :count] == self.labels[:, None]).any(axis=1)
        return hits

    def accuracy(self, count: int) -> float:
        """Per cent of images that are correct among the first `count`."""
        return 100.0 * float(self.correct(count).mean())


def image_names(paths: Sequence[Path]) -> list[str]:
    """Names that are the same wherever the data set lies."""
    return [f"{path.parent.name}/{path.name}" for path in paths]


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write an npz with arrays images (bytes), labels, ranked and correct (n,), whole or not at all."""
    with atomic.atomic_file(path) as file:
        np.savez_compressed(
            file,
            images=np.array([name.encode() for name in predictions.images]),
            labels=predictions.labels.astype(np.int32),
            ranked=predictions.ranked.astype(np.int32),
            correct=predictions.correct(1),
        )


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises:
        Refusal: the file is missing or damaged.
    """
    arrays = npz.read(path)
    try:
        names = [name.decode() for name in arrays["images"]]
        return Predictions(names, arrays["labels"].astype(np.int64), arrays["ranked"].astype(np.int64))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Refusal(f"{path} does not hold predictions ({one_line(error)})") from error
