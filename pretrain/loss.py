"""The loss of section 3: invariance, variance and covariance of two batches of embeddings, Eq. 1 to 6.

Everything is computed in float32 (float64 for float64 input) whatever the autocast: in half precision the squares of
small covariances vanish and those of large ones overflow. Under several ranks the statistics are those of the global
batch while each rank works on its own rows; see `pretrain.distributed` for the gradient convention.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain import distributed
from pretrain.settings import LossRecipe


def invariance(z_a: Tensor, z_b: Tensor) -> Tensor:
    """s(Z, Z') of Eq. 5 with Algorithm 1's mean over dimensions: mean of (z_a - z_b)² over the global n and d.

    Raises:
        ValueError: the shapes differ.
    """
    if z_a.shape != z_b.shape:
        raise ValueError(f"the two views' embeddings have shapes {tuple(z_a.shape)} and {tuple(z_b.shape)}")
    with full_precision(z_a):
        return _mean_squares(z_a, z_b, sum(distributed.row_counts(z_a)))


def variance(z: Tensor, *, gamma: float = 1.0, eps: float = 1e-4) -> Tensor:
    """v(Z) of Eq. 1: mean over dimensions of max(0, gamma - sqrt(Var + eps)), Var unbiased over the global batch.

    z: (n_r, d), this rank's rows of one view.

    Raises:
        ValueError: fewer than 2 rows over all ranks.
    """
    with full_precision(z):
        return _hinge(_centred(z, distributed.row_counts(z)), gamma, eps)


def covariance(z: Tensor, *, divisor: int | None = None) -> Tensor:
    """c(Z) of Eq. 4: the squared off-diagonal entries of the covariance matrix, summed, over d.

    z: (n_r, d), this rank's rows of one view. `divisor` replaces the global n - 1 of Eq. 3.

    Raises:
        ValueError: fewer than 2 rows over all ranks.
    """
    with full_precision(z):
        return _off_diagonal(_centred(z, distributed.row_counts(z)), divisor)


class VICRegLoss(nn.Module):
    """Eq. 6. Calling it with two views' embeddings (n_r, d) returns the terms by name and their weighted sum, "loss".

    "variance" and "covariance" are the sums over both views (variance: their mean if `variance_halved`), unweighted.
    A method with another invariance (Eq. 8, Eq. 9) passes it as `s`.
    """

    def __init__(self, settings: LossRecipe = LossRecipe(), global_batch_size: int | None = None) -> None:  # noqa: B008
        super().__init__()
        if settings.covariance_divisor == "global-batch-size" and global_batch_size is None:
            raise ValueError('covariance_divisor "global-batch-size" needs the global_batch_size')
        self.settings = settings
        fixed = settings.covariance_divisor == "global-batch-size"
        self.divisor = global_batch_size - 1 if fixed and global_batch_size else None

    def forward(self, z_a: Tensor, z_b: Tensor, s: Tensor | None = None) -> dict[str, Tensor]:
        """z_a, z_b: (n_r, d), this rank's rows of each view; s: the invariance of another method."""
        chosen = self.settings
        counts = distributed.row_counts(z_a)
        gamma, eps = chosen.hinge_target(z_a.shape[1])
        with full_precision(z_a):
            if s is None:
                s = _mean_squares(z_a, z_b, sum(counts))
            (v_a, v_b), (c_a, c_b) = self._regularised(z_a, z_b, counts)
            v = _hinge(v_a, gamma, eps) + _hinge(v_b, gamma, eps)
            v = v / 2 if chosen.variance_halved else v
            c = _off_diagonal(c_a, self.divisor) + _off_diagonal(c_b, self.divisor)
            loss = chosen.invariance_weight * s + chosen.variance_weight * v + chosen.covariance_weight * c
        return {"loss": loss, "invariance": s, "variance": v, "covariance": c}

    def _regularised(self, z_a: Tensor, z_b: Tensor, counts: list[int]) -> tuple[list["_Centred"], list["_Centred"]]:
        """Both views as the variance term sees them, and as the covariance term does."""
        seen = {}
        # In a fixed order: each view costs a sum over ranks, and all ranks must take theirs in the same one.
        for kind in dict.fromkeys((self.settings.variance_of, self.settings.covariance_of)):
            views = (z_a, z_b) if kind == "projections" else (unit(z_a), unit(z_b))
            seen[kind] = [_centred(z, counts) for z in views]
        return seen[self.settings.variance_of], seen[self.settings.covariance_of]


def unit(z: Tensor) -> Tensor:
    """Each row of z (n_r, d) divided by its length, in full precision; a zero row stays zero."""
    with full_precision(z):
        return F.normalize(upcast(z), dim=1)


def gram_is_smaller(count: int, dimensions: int) -> bool:
    """Whether ZZᵀ (n, n) is smaller than ZᵀZ (d, d)."""
    return count < dimensions


class _Centred(NamedTuple):
    own: Tensor  # (n_r, d), this rank's rows minus the global mean
    counts: list[int]  # rows of each rank
    squares: Tensor  # (d,), global sums of squares


def _centred(z: Tensor, counts: list[int]) -> _Centred:
    # The mean counts as a constant: through it both terms' gradients vanish, because centred rows sum to zero.
    if sum(counts) < 2:
        raise ValueError(f"a variance needs at least 2 samples over all ranks, got {sum(counts)}")
    z = upcast(z)
    own = z - distributed.sum_over_ranks(z.detach().sum(0)) / sum(counts)
    return _Centred(own, counts, distributed.sum_over_ranks(own.square().sum(0)))


def _mean_squares(z_a: Tensor, z_b: Tensor, count: int) -> Tensor:
    own = (upcast(z_a) - upcast(z_b)).square().sum()
    return distributed.sum_over_ranks(own) / (count * z_a.shape[1])


def _hinge(view: _Centred, gamma: float, eps: float) -> Tensor:
    variances = view.squares / (sum(view.counts) - 1)  # (d,)
    return torch.relu(gamma - torch.sqrt(variances + eps)).mean()


def _off_diagonal(view: _Centred, divisor: int | None) -> Tensor:
    everything: Tensor = _SquaredCovariances.apply(view.own, view.counts)
    divisor = divisor or sum(view.counts) - 1
    return (everything - view.squares.square().sum()) / (divisor**2 * view.own.shape[1])


class _SquaredCovariances(torch.autograd.Function):
    """Σ_ij (ZᵀZ)_ij² of all ranks' centred rows Z (n, d), through the smaller of ZᵀZ (d, d) and ZZᵀ (n, n).

    Both have the same squared Frobenius norm, and its gradient is 4 Z ZᵀZ either way, so a rank needs only its own
    rows Z_r: from ZZᵀ the strip Z_r Zᵀ (n_r, n), from ZᵀZ the sum over ranks of Z_rᵀZ_r.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, counts: list[int]) -> Tensor:
        if gram_is_smaller(sum(counts), own.shape[1]):
            everyone = distributed.gather_rows(own, counts)  # (n, d)
            left, right = own @ everyone.T, everyone  # (n_r, n)
            total = distributed.sum_over_ranks(left.square().sum())
        else:
            left, right = own, distributed.sum_over_ranks(own.T @ own)  # (d, d)
            total = right.square().sum()
        ctx.save_for_backward(left, right)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        left, right = ctx.saved_tensors
        return (4 * gradients[0]) * (left @ right), None


def upcast(z: Tensor) -> Tensor:
    """`z` in float32, or float64 where it is that."""
    return z if z.dtype == torch.float64 else z.float()


def full_precision(z: Tensor) -> torch.autocast:
    """A context on the device of `z` without half precision."""
    return torch.autocast(z.device.type, enabled=False)
