"""SimSiam (Chen & He, 2020), Algorithm 1, with its components as switches and VICReg's terms added."""

from torch import Tensor, nn

from pretrain.distances import negative_cosine
from pretrain.distributed import scaled_for_averaging
from pretrain.heads import mlp, standardisation
from pretrain.loss import VICRegLoss
from pretrain.methods.seam import Method, Outputs
from pretrain.methods.target import Target
from pretrain.resnet import ARCHITECTURES
from pretrain.settings import Recipe


class SimSiam(Method):
    """Encoder f (backbone and projector) makes z, predictor h makes p; each p is compared with the other, stopped z."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        branches, d = recipe.branches, recipe.projector_width
        norm, hidden = branches.batch_norm, branches.projector_hidden or d
        self.backbone = ARCHITECTURES[recipe.architecture](zero_init_residual=recipe.zero_init_residual)
        self.projector = mlp((self.backbone.out_features, hidden, hidden, d), batch_norm=norm, inner_bias=False)
        if norm:
            # Its output batch norm has neither scale nor shift, and the bias before it would be without effect.
            self.projector.append(standardisation(d))
        self.predictor: nn.Module = nn.Identity()
        if branches.predictor:
            widths = (d, branches.predictor_hidden or d, d)
            self.predictor = mlp(widths, batch_norm=norm, inner_bias=False, last_bias=True)
        self.target = Target(branches, self.backbone, self.projector)
        self.loss = VICRegLoss(recipe.loss, recipe.global_batch_size)

    def forward(self, x_1: Tensor, x_2: Tensor) -> Outputs:
        """x_1, x_2: (n_r, 3, h, w)."""
        y_1, y_2 = self.backbone(x_1), self.backbone(x_2)  # (n_r, 2048)
        z_1, z_2 = self.projector(y_1), self.projector(y_2)  # (n_r, 2048)
        p_1, p_2 = self.predictor(z_1), self.predictor(z_2)  # (n_r, 2048)
        t_1, t_2 = self.target(x_1, z_1), self.target(x_2, z_2)
        s = negative_cosine(p_1, t_2) / 2 + negative_cosine(p_2, t_1) / 2
        terms = self.loss(z_1, z_2, s)
        terms["loss"] = scaled_for_averaging(terms["loss"])
        return Outputs(terms, y_1.detach(), y_2.detach(), z_1.detach(), z_2.detach())

    def after_step(self, step: int, total_steps: int) -> None:
        """Move the momentum encoder, if one was switched on."""
        self.target.follow(self.backbone, self.projector, step, total_steps)
