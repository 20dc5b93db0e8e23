"""The fast views' device half: a batch at a time, each sample with its own parameters, on whatever device it is on.

Images are float32 in 0…255 and are cut back to whole grey levels after every operation just where PIL cuts them, so
the result is PIL's own except in the blur, where a true Gaussian stands for PIL's three box filters.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretrain.views import colour_space
from pretrain.views.parameters import BRIGHTNESS, COLUMNS, CONTRAST, HUE, SATURATION
from pretrain.views.reference import SOLARIZE_THRESHOLD

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's mean and standard deviation per channel (B.2)."""

FREQUENCIES = 128

CACHED_PIXELS = 2**16
"""Pixels that the processor's own cache holds in float32 with a few intermediate images."""

STRIP = 32
"""Rows of a blurred image that are computed together on a processor, where the band's zeros would cost time."""


class ColourBatch:
    """The colour parameters of a batch, arranged by operation, as small host tensors ready to travel to the device."""

    def __init__(self, table: NDArray[np.float64]) -> None:
        """`table`: (n, 11), one `parameters.as_row` per sample."""
        self.table = table
        columns = dict(zip(COLUMNS, table.T, strict=True))
        self.slots = [_Slot(columns, position) for position in range(4)]
        self.gray = _where(columns["grayscale"] > 0)
        self.blurred = _where(columns["blur_sigma"] > 0)
        self.sigmas = torch.from_numpy(columns["blur_sigma"][columns["blur_sigma"] > 0]).float()
        self.solarized = _where(columns["solarize"] > 0)


class _Slot:
    """What each sample does first, second, third or fourth in its jitter.

    Brightness, contrast and saturation all blend the image with a reference: black, its mean gray, its gray.
    """

    def __init__(self, columns: dict[str, NDArray[np.float64]], position: int) -> None:
        operation = columns[f"order_{position}"]
        factor = np.ones_like(operation)
        for number, name in ((BRIGHTNESS, "brightness"), (CONTRAST, "contrast"), (SATURATION, "saturation")):
            factor = np.where(operation == number, columns[name], factor)
        self.blends = bool((factor != 1).any())
        self.factor = torch.from_numpy(factor).float().view(-1, 1, 1, 1)
        self.with_mean, self.with_gray = bool((operation == CONTRAST).any()), bool((operation == SATURATION).any())
        self.mean_weight = torch.from_numpy(operation == CONTRAST).float().view(-1, 1, 1, 1)
        self.gray_weight = torch.from_numpy(operation == SATURATION).float().view(-1, 1, 1, 1)
        self.turned = _where(operation == HUE)
        levels = np.trunc(columns["hue"][operation == HUE] * 255)  # as `reference.hue_levels`
        self.levels = torch.from_numpy(levels).view(-1, 1, 1)


def _where(condition: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(np.flatnonzero(condition))


def augment(images: Tensor, colours: ColourBatch, *, blur_kernel: int) -> Tensor:
    """uint8 (n, 3, s, s) after crop and flip to normalised float32 views, in channels-last layout."""
    few = max(1, CACHED_PIXELS // images.shape[-1] ** 2)
    if images.device.type == "cpu" and len(images) > few:
        return _a_few_at_a_time(images, colours, few, blur_kernel)
    x = images.to(torch.float32, memory_format=torch.contiguous_format)
    return normalise(recolour(x, colours, blur_kernel=blur_kernel))


def _a_few_at_a_time(images: Tensor, colours: ColourBatch, few: int, blur_kernel: int) -> Tensor:
    # A processor's cache holds an image or so: each is finished before the next is begun.
    out = torch.empty(images.shape, memory_format=torch.channels_last)
    for start in range(0, len(images), few):
        part = slice(start, start + few)
        out[part] = augment(images[part], ColourBatch(colours.table[part]), blur_kernel=blur_kernel)
    return out


def recolour(x: Tensor, colours: ColourBatch, *, blur_kernel: int) -> Tensor:
    """Jitter, grayscale, blur, solarize of float32 (n, 3, s, s) in 0…255."""
    for slot in colours.slots:
        x = _jitter(x, slot)
    x = _on_some(x, colours.gray, lambda some: colour_space.gray(some).expand(-1, 3, -1, -1))
    sigmas = colours.sigmas.to(x.device, non_blocking=True)
    x = _on_some(x, colours.blurred, lambda some: blur(some, sigmas, blur_kernel))
    return _on_some(x, colours.solarized, lambda some: torch.where(some < SOLARIZE_THRESHOLD, some, 255 - some))


def blur(x: Tensor, sigmas: Tensor, kernel: int) -> Tensor:
    """Gaussian blur of (n, 3, s, s), one sigma per sample, edges continued; along rows and columns as K x Kᵀ."""
    blurring = blur_matrices(sigmas, x.shape[-1], kernel)[:, None]  # (n, 1, s, s)
    reach = kernel // 2
    return _banded(blurring, _banded(blurring, x, reach).mT, reach).mT.add(0.5).floor_()


def _banded(matrices: Tensor, x: Tensor, reach: int) -> Tensor:
    """`matrices` (n, 1, s, s) @ x (n, 3, s, s), where entries further than `reach` from the diagonal are zero."""
    size = x.shape[-1]
    if x.device.type != "cpu":
        return matrices @ x
    strips = [
        matrices[..., start : start + STRIP, max(0, start - reach) : start + STRIP + reach]
        @ x[..., max(0, start - reach) : start + STRIP + reach, :]
        for start in range(0, size, STRIP)
    ]
    return torch.cat(strips, -2)


def blur_matrices(sigmas: Tensor, size: int, kernel: int) -> Tensor:
    """(n, size, size): row i holds the weights of output i; taps beyond the edge count for the edge pixel."""
    taps = torch.arange(kernel, device=sigmas.device) - kernel // 2
    weights = _discrete_gaussian(sigmas, taps)
    weights = weights / weights.sum(1, keepdim=True)  # (n, kernel)
    columns = (torch.arange(size, device=sigmas.device)[:, None] + taps).clamp_(0, size - 1)  # (size, kernel)
    matrices = torch.zeros(len(sigmas), size, size, device=sigmas.device)
    shape = (len(sigmas), size, kernel)
    return matrices.scatter_add_(2, columns.expand(shape), weights[:, None].expand(shape))


def _discrete_gaussian(sigmas: Tensor, taps: Tensor) -> Tensor:
    """(n, kernel): the kernel on whole pixels whose variance is sigma² exactly, as PIL's is, however small sigma.

    Its transform is exp(sigma² (cos θ - 1)); the sum over evenly spaced θ inverts it. Sampling the bell curve instead
    would make sigma 0.3 act like 0.09.
    """
    theta = torch.arange(FREQUENCIES, device=sigmas.device) * (2 * torch.pi / FREQUENCIES)
    spectrum = torch.exp(sigmas[:, None].square() * (theta.cos() - 1))  # (n, frequencies)
    return spectrum @ torch.cos(theta[:, None] * taps) / FREQUENCIES


def normalise(x: Tensor) -> Tensor:
    """Grey levels 0…255 (n, 3, s, s) to zero mean and unit variance per channel over ImageNet, channels-last."""
    mean = torch.tensor(MEAN, device=x.device).view(3, 1, 1) * 255
    std = torch.tensor(STD, device=x.device).view(3, 1, 1) * 255
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def _jitter(x: Tensor, slot: _Slot) -> Tensor:
    if slot.blends:
        x = _blend(x, slot)
    levels = slot.levels.to(x.device, non_blocking=True)
    return _on_some(x, slot.turned, lambda some: colour_space.turn_hue(some, levels))


def _blend(x: Tensor, slot: _Slot) -> Tensor:
    device = x.device
    factor = slot.factor.to(device, non_blocking=True)
    if not (slot.with_mean or slot.with_gray):
        return (x * factor).clamp_(0, 255).floor_()
    gray = colour_space.gray(x)  # (n, 1, s, s)
    reference = gray * slot.gray_weight.to(device, non_blocking=True) if slot.with_gray else torch.zeros_like(gray)
    if slot.with_mean:
        mean = (gray.mean((2, 3), keepdim=True) + 0.5).floor_()
        reference += mean * slot.mean_weight.to(device, non_blocking=True)
    return (x - reference).mul_(factor).add_(reference).clamp_(0, 255).floor_()


def _on_some(x: Tensor, indices: Tensor, operation: Callable[[Tensor], Tensor]) -> Tensor:
    # The indices come from the host, so nothing here waits for the device.
    if not len(indices):
        return x
    if len(indices) == len(x):
        return operation(x)
    indices = indices.to(x.device, non_blocking=True)
    return x.index_copy_(0, indices, operation(x.index_select(0, indices)))
