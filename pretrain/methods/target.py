"""Where predictions aim: at the other branch itself, behind a stop-gradient, or at a momentum encoder (Table 3)."""

import copy

import torch
from torch import Tensor, nn

from pretrain.branches import BranchRecipe
from pretrain.schedule import momentum_factor


class Target(nn.Module):
    """Turns a view and its projection into the target of the other view's prediction."""

    network: nn.Sequential | None

    def __init__(self, branches: BranchRecipe, backbone: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.branches = branches
        self.network = None
        if branches.momentum_encoder:
            # ξ starts as θ.
            self.network = copy.deepcopy(nn.Sequential(backbone, projector)).requires_grad_(False)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """x: (n_r, 3, h, w) a view, z: (n_r, d) its projection by the trained branch."""
        if self.network is not None:
            with torch.no_grad():
                target: Tensor = self.network(x)
                return target
        return z.detach() if self.branches.stop_gradient else z

    @torch.no_grad()
    def follow(self, backbone: nn.Module, projector: nn.Module, step: int, total_steps: int) -> None:
        """ξ <- τ ξ + (1 - τ) θ, with BYOL's τ of this step; nothing without a momentum encoder."""
        if self.network is None:
            return
        tau = momentum_factor(step, total_steps=total_steps, start=self.branches.target_momentum)
        online: list[Tensor] = [*backbone.parameters(), *projector.parameters()]
        own: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(own, online, 1 - tau)
