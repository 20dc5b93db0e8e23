"""The loss, forward and backward, against Algorithm 1 as printed."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks import textbook
from benchmarks.harness import Clock, Outcome, compared, cpu_seconds, wall_seconds
from pretrain.loss import VICRegLoss

Loss = Callable[[Tensor, Tensor], Tensor]

DIMENSIONS = 8192
AGREEMENT = 1e-4
"""Relative difference in value and gradient that float32 matrix products in another order may show."""


def large_batch() -> Outcome:
    """n = 2048, the paper's batch."""
    return measure(2048, rounds=3, repeats=1)


def small_batch() -> Outcome:
    """n = 256, a batch that fits one small GPU."""
    return measure(256, rounds=7, repeats=5)


def large_batch_by_wall_clock() -> Outcome:
    """n = 2048, on as many threads as the row has."""
    return measure(2048, rounds=3, repeats=1, clock=wall_seconds)


def small_batch_by_wall_clock() -> Outcome:
    """n = 256, on as many threads as the row has."""
    return measure(256, rounds=7, repeats=5, clock=wall_seconds)


def measure(
    count: int, *, dimensions: int = DIMENSIONS, rounds: int, repeats: int, clock: Clock = cpu_seconds
) -> Outcome:
    """Both losses on the same two views (n, d) of float32; also how far value and gradient are apart."""
    z_a, z_b = embeddings(count, dimensions)
    # These two calls are the warm-up.
    mine, theirs = gradient(suite_loss(), z_a, z_b), gradient(textbook.loss, z_a, z_b)
    apart = [float((m - t).norm() / t.norm()) for m, t in zip(mine, theirs, strict=True)]
    assert max(apart) < AGREEMENT, f"the two losses disagree: {apart}"
    return compared(
        work(suite_loss(), z_a, z_b), work(textbook.loss, z_a, z_b), rounds=rounds, repeats=repeats,
        warm_up=0, clock=clock, n=count, d=dimensions, relative_difference_of_loss_and_gradients=apart,
    )  # fmt: skip


def embeddings(count: int, dimensions: int) -> tuple[Tensor, Tensor]:
    """Two correlated views (n, d) with gradients, standard deviation below 1 so that every term is active."""
    random = torch.Generator().manual_seed(0)
    z_a = 0.7 * torch.randn(count, dimensions, generator=random)
    z_b = z_a + 0.2 * torch.randn(count, dimensions, generator=random)
    return z_a.requires_grad_(), z_b.requires_grad_()


def suite_loss() -> Loss:
    """This suite's loss as one number."""
    terms = VICRegLoss()
    return lambda z_a, z_b: terms(z_a, z_b)["loss"]


def work(loss: Loss, z_a: Tensor, z_b: Tensor) -> Callable[[], None]:
    """One forward and backward."""

    def forward_and_backward() -> None:
        z_a.grad = z_b.grad = None
        loss(z_a, z_b).backward()  # type: ignore[no-untyped-call]

    return forward_and_backward


def gradient(loss: Loss, z_a: Tensor, z_b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The loss and its gradients with respect to both views."""
    value = loss(z_a, z_b)
    to_a, to_b = torch.autograd.grad(value, (z_a, z_b))
    return value.detach(), to_a, to_b
