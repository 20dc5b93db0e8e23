"""The projectors and predictors of all methods: linear layers with batch norm and ReLU between them, or without."""

import itertools
from collections.abc import Sequence

from torch import nn


def mlp(widths: Sequence[int], *, batch_norm: bool, inner_bias: bool = True, last_bias: bool = False) -> nn.Sequential:
    """Linear layers `widths[0]` -> `widths[1]` -> …, (batch norm and) ReLU after all but the last.

    Without batch norm every inner layer has a bias: the norm's shift, which stood in for it, is gone.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths[:-1]):
        layers.append(nn.Linear(inputs, outputs, bias=inner_bias or not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(nn.ReLU(inplace=True))
    layers.append(nn.Linear(widths[-2], widths[-1], bias=last_bias))
    return nn.Sequential(*layers)


def standardisation(width: int) -> nn.BatchNorm1d:
    """Batch norm without scale and shift: each dimension gets mean 0 and variance 1 over the batch."""
    return nn.BatchNorm1d(width, affine=False)
