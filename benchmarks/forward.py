"""The frozen ResNet-50 at 224 px: bf16 channels-last against float32 NCHW, and how far the features move."""

import torch
from torch import Tensor

from benchmarks.harness import Outcome, compared
from evaluate.trunk import loaded_trunk, new_trunk, trunk_features

CPU = torch.device("cpu")


def precision() -> Outcome:
    """Batches of 16 images."""
    return measure(16, size=224, rounds=5)


def measure(count: int, *, size: int, rounds: int) -> Outcome:
    """The evaluation's own forward with the precision option, against the plain module."""
    torch.manual_seed(0)
    plain = with_statistics(new_trunk(), size).eval().requires_grad_(False)
    trunk = loaded_trunk(plain.state_dict(), CPU)
    images = torch.randn(count, 3, size, size)
    expected, default = plain(images), trunk_features(trunk, images, "float32")
    moved = trunk_features(trunk, images, "bfloat16")
    with torch.inference_mode():
        return compared(
            lambda: trunk_features(trunk, images, "bfloat16"), lambda: plain(images), rounds=rounds, repeats=2,
            images=count, relative_feature_difference={"bfloat16": apart(moved, expected),
                                                       "float32_channels_last": apart(default, expected)},
            smallest_cosine_bfloat16=float(torch.cosine_similarity(moved, expected).min()),
        )  # fmt: skip


def with_statistics(trunk: torch.nn.Module, size: int) -> torch.nn.Module:
    """`trunk` after a few forward passes in training mode: running statistics that keep features in a usual range."""
    trunk.train()
    with torch.no_grad():
        for _ in range(3):
            trunk(torch.randn(8, 3, size, size))
    return trunk


def apart(found: Tensor, expected: Tensor) -> float:
    """‖found - expected‖ / ‖expected‖."""
    return float((found - expected).norm() / expected.norm())
