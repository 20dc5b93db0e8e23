"""The projector h of section 3, which the later text of the paper calls the expander."""

from torch import nn


def expander(inputs: int, width: int) -> nn.Sequential:
    """Three linear layers, the inner two followed by batch norm and ReLU (B.1): (n, inputs) -> (n, width).

    As released, the inner layers keep their bias and the last has none; with 2048 inputs and width 8192 that is
    151,044,096 parameters named 0, 1, 3, 4 and 6.
    """
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.BatchNorm1d(width),
        nn.ReLU(inplace=True),
        nn.Linear(width, width),
        nn.BatchNorm1d(width),
        nn.ReLU(inplace=True),
        nn.Linear(width, width, bias=False),
    )
