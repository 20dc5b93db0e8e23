"""The weighted k-nearest-neighbour vote on l2-normalised features (appendix C.1; Wu et al. 2018, section 3.4).

Ties: among equally similar bank rows the lower index is the nearer one; among classes with equal scores the lower class
index is ranked first.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from evaluate.search import TensorRows, nearest

DEFAULT_MEMORY_MB = 2048


def knn_classify(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    *,
    k: int,
    temperature: float | None,
    num_classes: int,
    memory_mb: int = DEFAULT_MEMORY_MB,
) -> Tensor:
    """Class scores (q, num_classes) of `queries` (q, d) from their `k` nearest rows of `bank` (n, d), by cosine.

    Each neighbour adds exp(cosine / `temperature`) to its class, or 1 where `temperature` is None. The rows need not be
    normalised; that is done here. Raises Refusal as `search.nearest` does.
    """
    values, indices = nearest(
        TensorRows(bank), TensorRows(queries), k, memory_mb=memory_mb, device=queries.device
    )  # (q, k)
    return vote(values, bank_labels.cpu()[indices], temperature=temperature, num_classes=num_classes)


def vote(similarities: Tensor, labels: Tensor, *, temperature: float | None, num_classes: int) -> Tensor:
    """Scores (q, num_classes) from neighbours' cosines and labels (q, k); unweighted if `temperature` is None."""
    # float64: small temperatures do not overflow, and the order of the additions does not reach the ranking.
    exact = similarities.double()
    weights = torch.ones_like(exact) if temperature is None else (exact / temperature).exp()
    scores = torch.zeros(len(labels), num_classes, dtype=torch.float64)
    return scores.scatter_add_(1, labels, weights)


def ranked_classes(scores: Tensor, count: int) -> Tensor:
    """The `count` classes with the highest scores (n, count), best first; equal scores by rising class index."""
    return scores.argsort(dim=1, descending=True, stable=True)[:, :count]


def top_shares(ranked: Tensor, labels: Tensor, counts: Sequence[int] = (1, 5)) -> dict[str, float]:
    """Per cent of rows whose label is among the first 1, 5, ... of `ranked` (n, c), as {"top1": ..., "top5": ...}."""
    hits = ranked == labels[:, None]
    return {f"top{count}": 100.0 * float(hits[:, :count].any(dim=1).double().mean()) for count in counts}
