"""What the log tells about collapse and redundancy: Fig. 4's mean standard deviation and Fig. 5's Eq. 10."""

import math

import torch
from torch import Tensor

from pretrain import distributed
from pretrain.loss import covariance, unit
from pretrain.methods import Outputs


@torch.no_grad()
def collapse_statistics(outputs: Outputs) -> dict[str, float]:
    """Mean standard deviation of each view's representations and embeddings, and Eq. 10, over the global batch.

    Those of the embeddings divided by their length are comparable between methods; "sphere_std" is 1/√d, which they
    have when spread over the whole sphere (Fig. 4, right).
    """
    views = {
        "representation_std_a": outputs.representation_a,
        "representation_std_b": outputs.representation_b,
        "embedding_std_a": outputs.embedding_a,
        "embedding_std_b": outputs.embedding_b,
        "unit_embedding_std_a": unit(outputs.embedding_a),
        "unit_embedding_std_b": unit(outputs.embedding_b),
    }
    found = {name: float(standard_deviations(features).mean()) for name, features in views.items()}
    found["representation_correlation"] = float(
        mean_squared_correlation(outputs.representation_a, outputs.representation_b)
    )
    found["sphere_std"] = 1 / math.sqrt(outputs.embedding_a.shape[1])
    return found


def standard_deviations(features: Tensor) -> Tensor:
    """(d,): the unbiased standard deviation of each dimension over the global batch; features: (n_r, d)."""
    features = features if features.dtype == torch.float64 else features.float()
    count = sum(distributed.row_counts(features))
    mean = distributed.sum_over_ranks(features.sum(0)) / count
    return (distributed.sum_over_ranks((features - mean).square().sum(0)) / (count - 1)).sqrt()


def mean_squared_correlation(y_a: Tensor, y_b: Tensor) -> Tensor:
    """Eq. 10: 1 / (2 d (d - 1)) times the sum over i != j of C(Y)² + C(Y')², Y and Y' standardised.

    The text calls it the average correlation coefficient; what the equation averages are squares. A dimension that
    does not vary has no correlation and counts as 0.
    """
    standardised = []
    for y in (y_a, y_b):
        std = standard_deviations(y)
        standardised.append(y.to(std.dtype) / torch.where(std > 0, std, torch.inf))
    # `covariance` has the sum over i != j and 1 / d already.
    return sum((covariance(y) for y in standardised), y_a.new_zeros(())) / (2 * (y_a.shape[1] - 1))
