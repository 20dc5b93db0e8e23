"""The fast views' second half on an accelerator: a batch at a time, each sample with its own parameters.

Images are float32 in 0…255 and are cut back to whole grey levels after every operation just where PIL cuts them, so
the result is PIL's own except in the blur, where a true Gaussian stands for PIL's three box filters.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretrain.views import colour_space, gaussian, processor
from pretrain.views.normalise import normalise
from pretrain.views.parameters import BRIGHTNESS, COLUMNS, CONTRAST, HUE, SATURATION
from pretrain.views.reference import SOLARIZE_THRESHOLD


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
        self.levels = torch.from_numpy(np.mod(levels, 256).astype(np.uint8)).view(-1, 1, 1)


def _where(condition: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(np.flatnonzero(condition))


def augment(images: Tensor, colours: ColourBatch, *, blur_kernel: int) -> Tensor:
    """uint8 (n, 3, s, s) after crop and flip to normalised float32 views, in channels-last layout.

    On a processor `processor` does it, one image after the other.
    """
    if images.device.type == "cpu":
        return processor.augment(images, colours.table, blur_kernel=blur_kernel)
    x = images.to(torch.float32, memory_format=torch.contiguous_format)
    return normalise(recolour(x, colours, blur_kernel=blur_kernel))


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
    blurring = gaussian.blur_matrices(sigmas, x.shape[-1], kernel)[:, None]  # (n, 1, s, s)
    return (blurring @ (blurring @ x).mT).mT.add(0.5).floor_()


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
