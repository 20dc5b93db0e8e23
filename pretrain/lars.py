"""LARS (You et al., 2017) as BYOL, Barlow Twins and VICReg use it: over lists of tensors, or piece by piece."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

import torch
from torch import Tensor

IN_PIECES = ("cpu",)
"""Devices on which a step takes as long as memory does, and waiting for a norm costs nothing."""

PIECE = 2**18
"""Numbers of each tensor in hand at once: three such pieces stay in a processor's cache. Half of it is slower (more
calls), and so is a buffer that would spare the gradient a write (more operations)."""


class LARS(torch.optim.Optimizer):
    """Momentum SGD whose step is scaled, tensor by tensor, by ‖weight‖ / ‖gradient‖.

    For a tensor w with gradient g (weight_decay wd, trust_coefficient η, momentum m):
        g <- g + wd w;   g <- g η ‖w‖ / ‖g‖ (unless a norm is 0);   v <- m v + g;   w <- w - lr v
    One-dimensional tensors (biases, BN scales and shifts) get neither decay nor scaling. The norms stay on the device,
    so a step never waits for it. The gradients are changed in place: after a step they are used up.
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
            if adapted and adapted[0].device.type in IN_PIECES:
                for parameter in adapted:
                    _descend_in_pieces(parameter, _gradient(parameter), self._velocity(parameter), group)
            elif adapted:
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


def _descend_in_pieces(parameter: Tensor, gradient: Tensor, velocity: Tensor, group: dict[str, Any]) -> None:
    """The step of one tensor, the operations on a piece one after the other: 8 reads or writes of it all, not 15."""
    weight_square = gradient_square = 0.0
    for w, g in _pieces(parameter, gradient):
        g.add_(w, alpha=group["weight_decay"])
        weight_square += float(torch.linalg.vector_norm(w)) ** 2
        gradient_square += float(torch.linalg.vector_norm(g)) ** 2
    ratio = 1.0
    if weight_square > 0 and gradient_square > 0:
        ratio = group["trust_coefficient"] * math.sqrt(weight_square / gradient_square)
    for w, g, v in _pieces(parameter, gradient, velocity):
        v.mul_(group["momentum"]).add_(g, alpha=ratio)
        w.add_(v, alpha=-group["lr"])


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same rows of all `tensors`, about `PIECE` numbers at a time, as views."""
    rows = [tensor if tensor.ndim else tensor[None] for tensor in tensors]
    count = max(1, PIECE * len(rows[0]) // max(1, rows[0].numel()))
    return zip(*(torch.split(tensor, count) for tensor in rows), strict=True)
