"""BYOL (Grill et al., 2020), sections 3.1 and 3.2, with its components as switches and VICReg's terms added."""

from torch import Tensor, nn

from pretrain.distances import normalised_squares
from pretrain.distributed import scaled_for_averaging
from pretrain.heads import mlp
from pretrain.loss import VICRegLoss
from pretrain.methods.seam import Method, Outputs
from pretrain.methods.target import Target
from pretrain.resnet import ARCHITECTURES
from pretrain.settings import Recipe


class BYOL(Method):
    """An online network θ predicts, from one view, what a target network ξ makes of the other.

    Online: encoder f, projector g, predictor q. Target: f and g with the weights ξ, a moving average of θ.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        branches, d = recipe.branches, recipe.projector_width
        norm = branches.batch_norm
        self.backbone = ARCHITECTURES[recipe.architecture](zero_init_residual=recipe.zero_init_residual)
        self.projector = mlp((self.backbone.out_features, branches.projector_hidden or d, d), batch_norm=norm)
        self.predictor: nn.Module = nn.Identity()
        if branches.predictor:
            self.predictor = mlp((d, branches.predictor_hidden or d, d), batch_norm=norm)
        self.target = Target(branches, self.backbone, self.projector)
        self.loss = VICRegLoss(recipe.loss, recipe.global_batch_size)

    def forward(self, v: Tensor, v_prime: Tensor) -> Outputs:
        """v, v': (n_r, 3, h, w). The loss is the mean of both directions (Eq. 8; BYOL's own text adds them up)."""
        y, y_prime = self.backbone(v), self.backbone(v_prime)  # (n_r, 2048)
        z, z_prime = self.projector(y), self.projector(y_prime)  # (n_r, 256)
        q, q_prime = self.predictor(z), self.predictor(z_prime)  # (n_r, 256)
        xi, xi_prime = self.target(v, z), self.target(v_prime, z_prime)  # (n_r, 256)
        s = (normalised_squares(q, xi_prime) + normalised_squares(q_prime, xi)) / 2
        terms = self.loss(z, z_prime, s)
        terms["loss"] = scaled_for_averaging(terms["loss"])
        return Outputs(terms, y.detach(), y_prime.detach(), z.detach(), z_prime.detach())

    def after_step(self, step: int, total_steps: int) -> None:
        """ξ <- τ ξ + (1 - τ) θ."""
        self.target.follow(self.backbone, self.projector, step, total_steps)
