"""VICReg (Figure 1), with the additions of Table 3 and the normalisations of Table 4b as switches."""

from torch import Tensor, nn

from pretrain.distances import negative_cosine
from pretrain.distributed import scaled_for_averaging
from pretrain.expander import expander
from pretrain.heads import mlp, standardisation
from pretrain.loss import VICRegLoss, invariance, unit
from pretrain.methods.seam import Method, Outputs
from pretrain.methods.target import Target
from pretrain.resnet import ARCHITECTURES
from pretrain.settings import Recipe


class VICReg(Method):
    """Views x, x' to representations y, y' (encoder f) to embeddings z, z' (projector h) to the loss of Eq. 6."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        branches, d = recipe.branches, recipe.projector_width
        self.backbone = ARCHITECTURES[recipe.architecture](zero_init_residual=recipe.zero_init_residual)
        self.projector = expander(
            self.backbone.out_features, d, hidden=branches.projector_hidden, batch_norm=branches.batch_norm
        )
        if branches.output == "standardised":
            self.projector.append(standardisation(d))
        self.predictor: nn.Module = nn.Identity()
        if branches.predictor:
            self.predictor = mlp((d, branches.predictor_hidden or d, d), batch_norm=branches.batch_norm)
        self.target = Target(branches, self.backbone, self.projector)
        self.unit = branches.output == "unit"
        self.symmetric = not (branches.predictor or branches.stop_gradient)
        self.loss = VICRegLoss(recipe.loss, recipe.global_batch_size)

    def forward(self, x_a: Tensor, x_b: Tensor) -> Outputs:
        """x_a, x_b: (n_r, 3, h, w). One pass per view, as released: batch norm sees each view by itself."""
        y_a = self.backbone(x_a)  # (n_r, 2048)
        z_a = self._embed(y_a)  # (n_r, d)
        y_b = self.backbone(x_b)
        z_b = self._embed(y_b)
        s = None if self.symmetric and not self.unit else self._invariance(x_a, x_b, z_a, z_b)
        terms = self.loss(z_a, z_b, s)
        terms["loss"] = scaled_for_averaging(terms["loss"])
        return Outputs(terms, y_a.detach(), y_b.detach(), z_a.detach(), z_b.detach())

    def after_step(self, step: int, total_steps: int) -> None:
        """Move the momentum encoder, if there is one."""
        self.target.follow(self.backbone, self.projector, step, total_steps)

    def _embed(self, y: Tensor) -> Tensor:
        z: Tensor = self.projector(y)
        return unit(z) if self.unit else z

    def _invariance(self, x_a: Tensor, x_b: Tensor, z_a: Tensor, z_b: Tensor) -> Tensor:
        """s(Z, Z', P, P') of Eq. 8 with the distance of Eq. 5, averaged over dimensions too, or that of Eq. 9."""
        distance = negative_cosine if self.unit else invariance
        p_a, p_b = self.predictor(z_a), self.predictor(z_b)
        t_a, t_b = self.target(x_a, z_a), self.target(x_b, z_b)
        return (distance(p_a, t_b) + distance(p_b, t_a)) / 2
