"""Proof that a converted file arrives in Detectron2: loaded by its own checkpointer into both detectors, and compared.

Detectron2 matches names by their endings and only logs what it could not place: a detector then trains from random
weights and reports 27 AP instead of 59 (VICRegL issue 15). Here every tensor must arrive, bit for bit, and the maps
res2 to res5 must be those of the original on a fixed image that went through the detector's own channel order and
normalisation.
"""

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from results.refusal import Refusal
from transfer import keymap
from transfer.detection_protocols import COCO, VOC0712, DetectionProtocol
from transfer.engines import detectron2_compat
from transfer.proof import TOLERANCE, Proof, compare, reference_features

if TYPE_CHECKING:
    from evaluate.checkpoint import Backbone

# As torchvision documents for its ResNet-50, on pixels from 0 to 1 in RGB order: what the checkpoint was trained with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

HEAD_PREFIX = "roi_heads."


def prove(converted: Path, backbone: "Backbone", protocols: tuple[DetectionProtocol, ...] = (VOC0712, COCO)) -> Proof:
    """Load `converted` into the detector of each protocol and compare it with the original `backbone`.

    Raises:
        Refusal: a tensor does not arrive or arrives changed, an image is normalised otherwise than the checkpoint
            expects, or a feature differs by more than `TOLERANCE`.
    """
    proofs = [_prove_one(converted, backbone.state_dict, protocol) for protocol in protocols]
    return Proof(
        sum(proof.matched for proof in proofs),
        sum(proof.expected for proof in proofs),
        max(proof.largest_difference for proof in proofs),
        tuple(line for proof in proofs for line in proof.lines),
    )


def _prove_one(converted: Path, original: Mapping[str, torch.Tensor], protocol: DetectionProtocol) -> Proof:
    title = "Mask R-CNN FPN" if protocol.is_fpn else "Faster R-CNN C4"
    model, unplaced = _load(converted, protocol, title)
    expected = keymap.rename(original, "detectron2")
    arrived = _arrived(model, unplaced, expected, title)
    model.eval()
    with torch.no_grad():
        images, pixel_difference = _images(model, protocol, title)
        features = _features(model, images)
    reference = reference_features(original, images)
    largest = compare(f"Detectron2's {title}", features, reference)
    in_head = sum(name.startswith(HEAD_PREFIX) for name in arrived)
    differences = ", ".join(f"{name} {_difference(features[name], reference[name]):.1e}" for name in reference)
    lines = [
        f"Detectron2 {title}: {len(arrived)} of {len(expected)} tensors matched "
        f"({len(arrived) - in_head} in the backbone{f', {in_head} in the res5 head' if in_head else ''})",
        f"  largest feature difference: {differences}; of the normalised pixels: {pixel_difference:.1e}",
    ]
    return Proof(len(arrived), len(expected), largest, tuple(lines))


def _load(converted: Path, protocol: DetectionProtocol, title: str) -> tuple[Any, Any]:
    """The detector of `protocol` on the CPU with its weights read from `converted` by Detectron2's own checkpointer,
    and what that could not place (missing_keys, unexpected_keys).
    """
    detectron2_compat.prepare()
    from detectron2.checkpoint import DetectionCheckpointer
    from detectron2.modeling import build_model

    from transfer.engines import detectron2_head  # noqa: F401  (makes the head known)
    from transfer.engines.detectron2_config import configuration

    class Checkpointer(DetectionCheckpointer):  # type: ignore[misc]
        def _log_incompatible_keys(self, incompatible: Any) -> None:
            self.incompatible = incompatible  # kept for us, where Detectron2 would only log it

    # The kind of batch norm decides how statistics are shared between GPUs, never which tensors there are.
    config = configuration(replace(protocol, norm="BN", fpn_norm="BN" if protocol.fpn_norm else ""))
    config.MODEL.DEVICE = "cpu"
    model = build_model(config)
    checkpointer = Checkpointer(model)
    try:
        checkpointer.load(str(converted))
    except (ValueError, KeyError, TypeError, AssertionError, OSError, pickle.UnpicklingError) as error:
        raise Refusal(f"{converted}: Detectron2's checkpointer cannot load it into {title} ({error})") from error
    return model, checkpointer.incompatible


def _arrived(model: Any, unplaced: Any, expected: Mapping[str, torch.Tensor], title: str) -> list[str]:
    """The detector's names of the tensors that came from the file and hold exactly the expected values.

    Raises:
        Refusal: a tensor of the file has no place in the detector, a tensor is missing, or its values differ.
    """
    if unplaced.unexpected_keys:
        stray = sorted(unplaced.unexpected_keys)
        raise Refusal(f"Detectron2's {title} has no place for {len(stray)} tensors of the file, as {stray[0]!r}")
    state, left_random = model.state_dict(), set(unplaced.missing_keys)
    arrived: list[str] = []
    missing: list[str] = []
    for name, tensor in expected.items():
        places = [place for place in state if place.endswith(f".{name}") and place not in left_random]
        same = len(places) == 1 and state[places[0]].shape == tensor.shape and torch.equal(state[places[0]], tensor)
        (arrived if same else missing).append(places[0] if same else name)
    if missing:
        raise Refusal(
            f"Detectron2's {title} took {len(arrived)} of {len(expected)} tensors from the converted file as they are "
            f"in the checkpoint; the first that is missing or differs is {missing[0]!r}"
        )
    return arrived


def _images(model: Any, protocol: DetectionProtocol, title: str) -> tuple[torch.Tensor, float]:
    """A fixed image as the detector normalises it, (1, 3, 224, 224), and how far that is from ImageNet's normalisation.

    Raises:
        Refusal: they differ: the detector would feed the checkpoint with other pixels than it was trained on.
    """
    generator = torch.Generator().manual_seed(6)
    rgb = torch.randint(0, 256, (3, 224, 224), generator=generator).float()
    in_order = rgb if protocol.channel_order == "RGB" else rgb.flip(0)  # as Detectron2's loader would read the file
    normalised = model.preprocess_image([{"image": in_order}]).tensor
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    difference = _difference(normalised[0].double(), (rgb.double() / 255 - mean) / std)
    if not difference <= TOLERANCE:
        raise Refusal(
            f"Detectron2's {title} feeds the backbone {protocol.channel_order} pixels that differ by {difference:.3g} "
            "from ImageNet's normalised RGB; correct protocol.channel_order, pixel_mean and pixel_std"
        )
    return normalised, difference


def _features(model: Any, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """The maps res2 to res5 of the detector's own modules; in a C4 detector res5 is the head's."""
    resnet = getattr(model.backbone, "bottom_up", model.backbone)
    features = {}
    current = resnet.stem(images)
    for name in resnet.stage_names:
        current = features[name] = getattr(resnet, name)(current)
    if "res5" not in features:
        for block in list(model.roi_heads.res5)[:3]:  # the norm that follows them is not the backbone's
            current = block(current)
        features["res5"] = current
    return features


def _difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max())
