"""A small part of a labelled data set: each class keeps its share, or, with many classes an image, a few images."""

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


def with_each_class(positive: NDArray[np.bool_], limit: int, at_least: int, seed: int) -> list[int]:
    """Ascending indices of about `limit` of the images (n) whose classes are `positive` (n, classes).

    Each class keeps `at_least` of its images, or all where it has fewer, even if that takes more than `limit`; the rest
    are drawn from all images. All of them when `limit` is 0.
    """
    count = len(positive)
    if limit <= 0 or limit >= count:
        return list(range(count))
    order = np.random.default_rng(seed).permutation(count)
    chosen: set[int] = set()
    # The rarest classes first: their images often show the common ones too.
    for column in np.argsort(positive.sum(axis=0), kind="stable"):
        members = [int(index) for index in order if positive[index, column]]
        present = sum(index in chosen for index in members)
        others = [index for index in members if index not in chosen]
        chosen.update(others[: max(0, at_least - present)])
    rest = [int(index) for index in order if int(index) not in chosen]
    return sorted([*chosen, *rest[: max(0, limit - len(chosen))]])


def _shares(sizes: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Split `limit` over classes of these sizes by largest remainder; no class gets none or more than it has."""
    ideal = limit * sizes / sizes.sum()
    shares = np.floor(ideal).astype(np.int64)
    for index in np.argsort(shares - ideal, kind="stable")[: max(0, limit - int(shares.sum()))]:
        shares[index] += 1
    bounded: NDArray[np.int64] = np.clip(shares, 1, sizes)
    return bounded
