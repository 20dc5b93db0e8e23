"""The ResNet-50 that is measured: built, filled with weights, run, and shown to be unchanged."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pretrain.resnet import resnet50


def new_trunk() -> nn.Module:
    """An untrained ResNet-50 that maps images (n, 3, h, w) to features (n, 2048)."""
    return resnet50()


def loaded_trunk(state_dict: Mapping[str, Tensor], device: torch.device) -> nn.Module:
    """A ResNet-50 with exactly these weights, in evaluation mode, channels last, without gradients."""
    with torch.random.fork_rng(devices=[]):
        trunk = new_trunk()
    trunk.load_state_dict(dict(state_dict), strict=True)
    trunk.to(device)
    trunk.to(memory_format=torch.channels_last)
    trunk.eval().requires_grad_(False)
    return trunk


def trunk_features(trunk: nn.Module, images: Tensor, precision: str) -> Tensor:
    """Features (n, 2048) in float32 of normalised images (n, 3, h, w); gradients flow if the trunk wants them."""
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        features: Tensor = trunk(images)
    return features.float()


def state_digest(module: nn.Module) -> str:
    """SHA-256 over the names and bytes of every parameter and statistic: equal only if no bit moved."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def keep_running_statistics(trunk: nn.Module, keep: bool) -> None:
    """In training mode, let the next forward pass move the running means and variances, or leave them alone."""
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1 if keep else 0.0
