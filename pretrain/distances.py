"""The distances D of Eq. 8 between predictions and targets, each a mean over the global batch, in full precision.

VICReg's own, the mean square without normalisation, is `pretrain.loss.invariance`.
"""

from torch import Tensor

from pretrain import distributed
from pretrain.loss import full_precision, unit


def negative_cosine(p: Tensor, z: Tensor) -> Tensor:
    """SimSiam's D (its Eq. 1) and Eq. 9: minus the mean cosine of the angle between p and z, both (n_r, d)."""
    with full_precision(p):
        cosines = (unit(p) * unit(z)).sum(1)  # (n_r,)
        return -_global_mean(cosines)


def normalised_squares(q: Tensor, z: Tensor) -> Tensor:
    """BYOL's D (its Eq. 2): the mean squared distance of unit vectors, 2 - 2 cos; q, z: (n_r, d)."""
    with full_precision(q):
        return _global_mean((unit(q) - unit(z)).square().sum(1))


def _global_mean(values: Tensor) -> Tensor:
    return distributed.sum_over_ranks(values.sum()) / sum(distributed.row_counts(values))
