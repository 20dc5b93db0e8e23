"""The proof every conversion prints: the target library's own model, loaded with the converted file, computes the same.

Names that match prove nothing by themselves; equal features on fixed images do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torchvision.models import resnet50

from results.refusal import Refusal

TOLERANCE = 1e-5
FEATURES = ("res2", "res3", "res4", "res5")


@dataclass(frozen=True)
class Proof:
    """Tensors the library took, of those expected, and the largest feature difference; `lines` say it in full."""

    matched: int
    expected: int
    largest_difference: float
    lines: tuple[str, ...]


def fixed_images(count: int = 2, size: int = 224) -> torch.Tensor:
    """The same normalised noise images on every machine. (count, 3, size, size), float32."""
    generator = torch.Generator().manual_seed(20210504)
    return torch.randn(count, 3, size, size, generator=generator)


@torch.no_grad()
def reference_features(state_dict: Mapping[str, torch.Tensor], images: torch.Tensor) -> dict[str, torch.Tensor]:
    """The maps res2 to res5 that torchvision's own ResNet-50 computes in eval mode from these weights, by name.

    Raises:
        Refusal: the weights are not exactly those of a ResNet-50 without its classifier.
    """
    model = resnet50()
    model.fc = torch.nn.Identity()
    try:
        model.load_state_dict(dict(state_dict), strict=True)
    except RuntimeError as error:
        raise Refusal(f"not the weights of a ResNet-50 backbone: {' '.join(str(error).split())[:300]}") from error
    model.eval()
    features = {}
    current = model.maxpool(model.relu(model.bn1(model.conv1(images))))
    for name, stage in zip(FEATURES, (model.layer1, model.layer2, model.layer3, model.layer4), strict=True):
        current = stage(current)
        features[name] = current
    return features


def compare(library: str, features: Mapping[str, torch.Tensor], reference: Mapping[str, torch.Tensor]) -> float:
    """The largest absolute difference between two sets of maps, over all names of `reference`.

    Raises:
        Refusal: it exceeds `TOLERANCE` or is not a number: the converted weights compute something else.
    """
    largest, where = 0.0, FEATURES[0]
    for name, expected in reference.items():
        difference = float((features[name] - expected).abs().max())
        if not difference <= largest:  # also true for NaN
            largest, where = difference, name
    if not largest <= TOLERANCE:
        raise Refusal(
            f"{library} computes other features from the converted weights: they differ by {largest:.3g} at {where}, "
            f"allowed is {TOLERANCE:g}; the conversion is wrong and its file must not be used"
        )
    return largest


def prove_torchvision(converted: Path, state_dict: Mapping[str, torch.Tensor]) -> Proof:
    """Load `converted` into torchvision's own ResNet-50, strictly, and compare with the original on `fixed_images`.

    Raises:
        Refusal: a tensor does not match or a feature differs by more than `TOLERANCE`.
    """
    loaded = torch.load(converted, map_location="cpu", weights_only=True)
    images = fixed_images()
    largest = compare("torchvision", reference_features(loaded, images), reference_features(state_dict, images))
    line = f"torchvision resnet50: {len(loaded)} of {len(state_dict)} tensors, largest difference {largest:.1e}"
    return Proof(len(loaded), len(state_dict), largest, (line,))
