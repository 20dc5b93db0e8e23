"""A Gaussian on whole pixels, as PIL's blur has it, and the matrices that blur rows or columns with it."""

from functools import cache

import torch
from torch import Tensor

FREQUENCIES = 128


def blur_matrices(sigmas: Tensor, size: int, kernel: int) -> Tensor:
    """(n, size, size): row i holds the weights of output i; taps beyond the edge count for the edge pixel."""
    taps = torch.arange(kernel, device=sigmas.device) - kernel // 2
    columns = (torch.arange(size, device=sigmas.device)[:, None] + taps).clamp_(0, size - 1)  # (size, kernel)
    matrices = torch.zeros(len(sigmas), size, size, device=sigmas.device)
    shape = (len(sigmas), size, kernel)
    return matrices.scatter_add_(2, columns.expand(shape), weights(sigmas, kernel)[:, None].expand(shape))


def weights(sigmas: Tensor, kernel: int) -> Tensor:
    """(n, kernel): for each sigma, weights that sum to 1 and whose variance is sigma² exactly, however small sigma.

    Their transform is exp(sigma² (cos θ - 1)); the sum over evenly spaced θ inverts it. Sampling the bell curve instead
    would make sigma 0.3 act like 0.09.
    """
    exponents, waves = _transform(kernel, sigmas.device)
    found = torch.exp(sigmas[:, None].square() * exponents) @ waves / FREQUENCIES
    return found / found.sum(1, keepdim=True)


@cache
def _transform(kernel: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos θ - 1 (frequencies,), and the cosine of θ times every tap's offset (frequencies, kernel)."""
    theta = torch.arange(FREQUENCIES, device=device) * (2 * torch.pi / FREQUENCIES)
    taps = torch.arange(kernel, device=device) - kernel // 2
    return theta.cos() - 1, torch.cos(theta[:, None] * taps)
