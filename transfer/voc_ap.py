"""Average precision as VISSL computes it for VOC07: the area under the monotone precision-recall curve."""

import numpy as np
from numpy.typing import NDArray


def average_precision(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Area under the precision-recall curve after each precision is raised to the highest at any larger recall.

    `positive` (n,) says which samples belong to the class, `scores` (n,) how surely each is thought to. All points
    count: this is neither VOC2007's 11-point average nor scikit-learn's step function. Samples to be ignored must be
    left out before. Source: vissl/utils/svm_utils/evaluate.py (get_precision_recall), VISSL 0.1.6.

    Raises:
        ValueError: no sample is positive, so that recall is undefined, or the lengths differ.
    """
    if positive.shape != scores.shape or not positive.any():
        raise ValueError(f"average precision needs a positive sample: {int(positive.sum())} of {len(positive)}")
    order = np.argsort(scores)[::-1]
    hits = np.cumsum(positive[order])  # true positives among the first k, (n,)
    precision = hits / np.arange(1, len(hits) + 1)
    recall = hits / hits[-1]
    ceiling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * ceiling))
