"""ImageNet's mean and standard deviation, which every view is normalised with."""

import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Per channel, of numbers in 0…1 (B.2)."""


def in_grey_levels(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of numbers in 0…255, each (3, 1, 1)."""
    mean, std = torch.tensor(MEAN, device=device) * 255, torch.tensor(STD, device=device) * 255
    return mean.view(3, 1, 1), std.view(3, 1, 1)


def normalise(x: Tensor) -> Tensor:
    """Grey levels 0…255 (n, 3, s, s) to zero mean and unit variance per channel over ImageNet, channels-last."""
    mean, std = in_grey_levels(x.device)
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)
