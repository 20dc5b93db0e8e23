"""The seam between methods and everything else: what a method is called with, and what it returns."""

from typing import NamedTuple

from torch import Tensor, nn

from pretrain.resnet import ResNet


class Outputs(NamedTuple):
    """`terms` holds "loss" and its unweighted parts by name; the rest, detached, is for the statistics of Fig. 4, 5."""

    terms: dict[str, Tensor]
    representation_a: Tensor
    representation_b: Tensor
    embedding_a: Tensor
    embedding_b: Tensor


class Method(nn.Module):
    """Turns two batches of normalised views (n_r, 3, h, w) into `Outputs`.

    It may own a predictor, a momentum encoder or an output normalisation; the loop knows nothing of them. The
    gradient of `terms["loss"]` must have gone through `distributed.scaled_for_averaging` once.
    """

    backbone: ResNet
    """What is kept after pretraining."""

    projector: nn.Module
    """From representations to the embeddings of the loss."""

    predictor: nn.Module
    """The head whose learning rate may be constant; an identity where there is none."""

    def after_step(self, step: int, total_steps: int) -> None:
        """Called once the optimizer has taken `step` (counted from 0); a momentum encoder moves here."""
