"""Table 5 from cached features: one search for the largest K, then every vote from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.listing import ImageList
from evaluate.features import FeatureStore
from evaluate.knn import ranked_classes, vote
from evaluate.predictions import Predictions, image_names
from evaluate.protocols import Knn
from evaluate.search import Part, nearest
from pretrain.distributed import World, gather_objects

VOTE_ROWS = 2048


@dataclass(frozen=True)
class Vote:
    """One K and one weighting, and what it predicts. `temperature` is None for the unweighted majority."""

    k: int
    temperature: float | None
    predictions: Predictions

    def numbers(self) -> dict[str, Any]:
        """As plain JSON, for a record's details."""
        return {
            "k": self.k,
            "weights": "equal" if self.temperature is None else f"exp(cosine / {self.temperature})",
            "top1": self.predictions.accuracy(1),
            "top5": self.predictions.accuracy(5),
        }


def all_votes(
    protocol: Knn,
    bank: FeatureStore,
    queries: FeatureStore,
    train: ImageList,
    val: ImageList,
    memory_mb: int,
    world: World,
) -> list[Vote]:
    """Every K with every weighting, from one search; each rank searches for its own part of the queries.

    Raises:
        Refusal: the bank is smaller than the largest K, or `memory_mb` is too small.
    """
    edges = [queries.rows * rank // world.size for rank in range(world.size + 1)]
    own = Part(queries, edges[world.rank], edges[world.rank + 1])
    found = nearest(bank, own, max(protocol.neighbours), memory_mb=memory_mb, device=world.device)
    parts = gather_objects(tuple(tensor.numpy() for tensor in found))
    values, indices = (torch.from_numpy(np.concatenate([part[i] for part in parts])) for i in range(2))  # (q, k)
    labels = torch.tensor(train.labels)[indices]
    names, truth = image_names(val.paths), np.array(val.labels, dtype=np.int64)
    temperatures = (protocol.temperature, *protocol.other_temperatures, None)
    return [
        Vote(
            k,
            temperature,
            Predictions(names, truth, _ranked(values[:, :k], labels[:, :k], temperature, len(val.classes))),
        )
        for k in protocol.neighbours
        for temperature in temperatures
    ]


def _ranked(values: Tensor, labels: Tensor, temperature: float | None, classes: int) -> Any:
    """The five best classes (q, 5); K neighbours speak for at most K classes, the rest is -1."""
    kept = min(5, values.shape[1], classes)
    ranked = np.full((len(values), 5), -1, dtype=np.int64)
    for start in range(0, len(values), VOTE_ROWS):
        rows = slice(start, start + VOTE_ROWS)
        scores = vote(values[rows], labels[rows], temperature=temperature, num_classes=classes)
        ranked[rows, :kept] = ranked_classes(scores, kept).numpy()
    return ranked
