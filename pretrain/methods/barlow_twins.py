"""Barlow Twins (Zbontar et al., 2021), section 2.1, with VICReg's terms added."""

from torch import Tensor, nn

from pretrain import distributed
from pretrain.heads import mlp, standardisation
from pretrain.loss import VICRegLoss, full_precision, upcast
from pretrain.methods.seam import Method, Outputs
from pretrain.resnet import ARCHITECTURES
from pretrain.settings import Recipe


class BarlowTwins(Method):
    """The cross-correlation C of the two views' standardised embeddings is drawn to the identity."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        branches, d = recipe.branches, recipe.projector_width
        hidden = branches.projector_hidden or d
        self.backbone = ARCHITECTURES[recipe.architecture](zero_init_residual=recipe.zero_init_residual)
        widths = (self.backbone.out_features, hidden, hidden, d)
        self.projector = mlp(widths, batch_norm=branches.batch_norm, inner_bias=False)
        self.predictor = nn.Identity()
        self.bn = standardisation(d)
        self.redundancy_weight = recipe.loss.redundancy_weight
        self.loss = VICRegLoss(recipe.loss, recipe.global_batch_size)

    def forward(self, y_a: Tensor, y_b: Tensor) -> Outputs:
        """y_a, y_b: (n_r, 3, h, w), the paper's letters for the distorted views."""
        f_a, f_b = self.backbone(y_a), self.backbone(y_b)  # (n_r, 2048)
        z_a, z_b = self.projector(f_a), self.projector(f_b)  # (n_r, d)
        c = cross_correlation(self.bn(z_a), self.bn(z_b))  # (d, d)
        invariance = (1 - c.diagonal()).square().sum()
        redundancy = c.square().sum() - c.diagonal().square().sum()
        terms = self.loss(z_a, z_b, invariance)
        terms["redundancy"] = redundancy
        terms["loss"] = distributed.scaled_for_averaging(terms["loss"] + self.redundancy_weight * redundancy)
        return Outputs(terms, f_a.detach(), f_b.detach(), z_a.detach(), z_b.detach())


def cross_correlation(z_a: Tensor, z_b: Tensor) -> Tensor:
    """C (d, d): the mean over the global batch of z_a z_bᵀ; z_a, z_b: (n_r, d), standardised over that batch."""
    with full_precision(z_a):
        products = upcast(z_a).T @ upcast(z_b)
        return distributed.sum_over_ranks(products) / sum(distributed.row_counts(z_a))
