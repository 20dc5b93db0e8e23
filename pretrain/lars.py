"""LARS (You et al., 2017) as BYOL, Barlow Twins and VICReg use it, over lists of tensors."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor


class LARS(torch.optim.Optimizer):
    """Momentum SGD whose step is scaled, tensor by tensor, by ‖weight‖ / ‖gradient‖.

    For a tensor w with gradient g (weight_decay wd, trust_coefficient η, momentum m):
        g <- g + wd w;   g <- g η ‖w‖ / ‖g‖ (unless a norm is 0);   v <- m v + g;   w <- w - lr v
    One-dimensional tensors (biases, BN scales and shifts) get neither decay nor scaling. The norms stay on the device,
    so a step never waits for it. The gradients are scaled in place: after a step they are used up.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 1e-6,
        trust_coefficient: float = 0.001,
    ) -> None:
        if lr < 0 or weight_decay < 0 or trust_coefficient <= 0 or not 0 <= momentum < 1:
            raise ValueError(
                f"lr {lr} and weight_decay {weight_decay} must be at least 0, trust_coefficient {trust_coefficient} "
                f"above 0 and momentum {momentum} in [0, 1)"
            )
        defaults = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust_coefficient": trust_coefficient,
        }  # fmt: skip
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient. `closure` is not supported: LARS evaluates the loss once."""
        assert closure is None
        for group in self.param_groups:
            adapted = [p for p in group["params"] if p.grad is not None and p.ndim != 1]
            plain = [p for p in group["params"] if p.grad is not None and p.ndim == 1]
            if adapted:
                self._descend(adapted, _adapt(adapted, group), group)
            if plain:
                self._descend(plain, [_gradient(p) for p in plain], group)
        return None

    def _descend(self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        velocities = [self._velocity(parameter) for parameter in parameters]
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_add_(velocities, gradients)
        torch._foreach_add_(parameters, velocities, alpha=-group["lr"])

    def _velocity(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        velocity: Tensor = state["velocity"]
        return velocity


def _adapt(parameters: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    gradients = [_gradient(parameter) for parameter in parameters]
    torch._foreach_add_(gradients, parameters, alpha=group["weight_decay"])
    weight_norms = torch.stack(torch._foreach_norm(parameters))
    gradient_norms = torch.stack(torch._foreach_norm(gradients))
    scaled = group["trust_coefficient"] * weight_norms / gradient_norms
    # A fresh zero tensor or an unused layer must still move: without a ratio the plain gradient stands.
    ratios = torch.where((weight_norms > 0) & (gradient_norms > 0), scaled, torch.ones_like(scaled))
    torch._foreach_mul_(gradients, list(ratios.unbind()))
    return gradients


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
