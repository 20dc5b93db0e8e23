"""A small part of a labelled data set in which each class keeps its share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IMAGES_PER_KEPT_CLASS = 5


def stratified(labels: Sequence[int], limit: int, seed: int) -> list[int]:
    """Ascending indices of about `limit` of the images whose classes are `labels`; all of them when `limit` is 0.

    Each kept class gets its share of `limit`, and at least one image. All classes are kept while there is room for
    about five images of each; below that, fewer classes are kept, chosen by `seed` and the set of labels alone, so
    that the subsets of two splits with the same classes hold the same classes.
    """
    values = np.asarray(labels, dtype=np.int64)
    if limit <= 0 or limit >= len(values):
        return list(range(len(values)))
    classes = np.unique(values)
    order = np.random.default_rng(seed).permutation(classes)
    kept = np.sort(order[: max(1, limit // IMAGES_PER_KEPT_CLASS)])
    members = [np.flatnonzero(values == label) for label in kept]
    shares = _shares(np.array([len(indices) for indices in members]), limit)
    chosen = [
        np.random.default_rng([seed, int(label)]).choice(indices, size=share, replace=False)
        for label, indices, share in zip(kept, members, shares, strict=True)
    ]
    return [int(index) for index in np.sort(np.concatenate(chosen))]


def _shares(sizes: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Split `limit` over classes of these sizes by largest remainder; no class gets none or more than it has."""
    ideal = limit * sizes / sizes.sum()
    shares = np.floor(ideal).astype(np.int64)
    for index in np.argsort(shares - ideal, kind="stable")[: max(0, limit - int(shares.sum()))]:
        shares[index] += 1
    bounded: NDArray[np.int64] = np.clip(shares, 1, sizes)
    return bounded
