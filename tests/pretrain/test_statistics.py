"""Fig. 4's mean standard deviation and Eq. 10, against numpy."""

import numpy as np
import pytest
import torch

from pretrain.statistics import mean_squared_correlation, standard_deviations


def test_standard_deviation_is_numpys_unbiased_one() -> None:
    y = np.random.default_rng(0).standard_normal((12, 5)) * [1, 2, 3, 4, 0]
    assert standard_deviations(torch.tensor(y)).tolist() == pytest.approx(y.std(0, ddof=1).tolist())


@pytest.mark.parametrize("shape", [(20, 6), (6, 20)])
def test_equation_10_is_the_mean_squared_correlation_of_both_views(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    views = [random.standard_normal(shape) @ random.standard_normal((shape[1], shape[1])) for _ in range(2)]
    d = shape[1]
    expected = 0.0
    for y in views:
        correlations = np.corrcoef(y.T)
        expected += (correlations**2).sum() - np.trace(correlations**2)
    found = mean_squared_correlation(*(torch.tensor(y) for y in views))
    assert float(found) == pytest.approx(expected / (2 * d * (d - 1)), rel=1e-9)


def test_a_collapsed_dimension_has_no_correlation() -> None:
    y = torch.zeros(8, 4, dtype=torch.float64)
    assert float(mean_squared_correlation(y, y)) == 0.0
