"""A method turns two batches of views into loss terms. VICReg (Figure 1) is the one here.

The seam: a method is a module with a `backbone` (what is kept after pretraining); called with two batches of
normalised views (n_r, 3, h, w) it returns an `Outputs`. It may own a predictor, a momentum encoder or an output
normalisation; the loop knows nothing of them.
"""

from typing import NamedTuple

from torch import Tensor, nn

from pretrain.distributed import scaled_for_averaging
from pretrain.expander import expander
from pretrain.loss import VICRegLoss
from pretrain.resnet import ARCHITECTURES
from pretrain.settings import Recipe


class Outputs(NamedTuple):
    """`terms` holds "loss" and its unweighted parts by name; the rest, detached, is for the statistics of Fig. 4, 5."""

    terms: dict[str, Tensor]
    representation_a: Tensor
    representation_b: Tensor
    embedding_a: Tensor
    embedding_b: Tensor


class VICReg(nn.Module):
    """Views x, x' to representations y, y' (encoder f) to embeddings z, z' (projector h) to the loss of Eq. 6."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.backbone = ARCHITECTURES[recipe.architecture](zero_init_residual=recipe.zero_init_residual)
        self.projector = expander(self.backbone.out_features, recipe.projector_width)
        self.loss = VICRegLoss(recipe.loss, recipe.global_batch_size)

    def forward(self, x_a: Tensor, x_b: Tensor) -> Outputs:
        """x_a, x_b: (n_r, 3, h, w). One pass per view, as released: batch norm sees each view by itself."""
        y_a = self.backbone(x_a)  # (n_r, 2048)
        z_a = self.projector(y_a)  # (n_r, d)
        y_b = self.backbone(x_b)
        z_b = self.projector(y_b)
        terms = self.loss(scaled_for_averaging(z_a), scaled_for_averaging(z_b))
        return Outputs(terms, y_a.detach(), y_b.detach(), z_a.detach(), z_b.detach())


def build(recipe: Recipe) -> VICReg:
    """The recipe's method, freshly initialised from torch's current random state."""
    return VICReg(recipe)
