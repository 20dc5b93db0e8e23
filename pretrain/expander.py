"""The projector h of section 3, which the later text of the paper calls the expander."""

from torch import nn

from pretrain.heads import mlp


def expander(inputs: int, width: int, *, hidden: int | None = None, batch_norm: bool = True) -> nn.Sequential:
    """Three linear layers, the inner two followed by batch norm and ReLU (B.1): (n, inputs) -> (n, width).

    As released, the inner layers keep their bias and the last has none; with 2048 inputs and width 8192 that is
    151,044,096 parameters named 0, 1, 3, 4 and 6. `hidden` is the inner layers' width where it differs.
    """
    inner = hidden or width
    return mlp((inputs, inner, inner, width), batch_norm=batch_norm)
