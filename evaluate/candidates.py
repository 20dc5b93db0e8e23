"""Finding the ResNet-50 among the tensors of a file: under which prefix and spelling are all 265 there?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from evaluate.architecture import DIALECTS, resnet50_shapes
from evaluate.formats import KNOWN_PREFIXES, format_name

MAX_DEPTH = 8
LISTED = 3
# Tensors a backbone may bring along: the classifier of torchvision and timm, the projector MoCo and SimSiam keep in fc.
EXPECTED_EXTRAS = ("fc.",)

TensorMap = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Candidate:
    """One dictionary of tensors, one prefix, one spelling; and how well they fit.

    `missing` and `misshapen` hold the file's own key for each torchvision name that does not fit, `unexpected` the keys
    below the prefix that no ResNet-50 has.
    """

    container: str
    prefix: str
    dialect: str
    tensors: TensorMap
    missing: tuple[str, ...]
    misshapen: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every tensor is there in the right shape, and the trunk holds nothing else.

        More blocks (ResNet-101) or other layers in them (squeeze and excitation) make another network of it, which the
        265 tensors alone would compute wrongly.
        """
        return not self.missing and not self.misshapen and not self.foreign

    @property
    def foreign(self) -> tuple[str, ...]:
        """Unexpected keys inside the trunk; heads and projectors stand beside it."""
        stems = {DIALECTS[self.dialect](name).split(".")[0] for name in resnet50_shapes()}
        return tuple(key for key in self.unexpected if key.removeprefix(self.prefix).split(".")[0] in stems)

    @property
    def known(self) -> bool:
        """Whether a published format uses this prefix and spelling."""
        return (self.prefix, self.dialect) in KNOWN_PREFIXES

    @property
    def spelled(self) -> str:
        """The name under which "FILE#NAME" selects this candidate: "state_dict:module.encoder_q"."""
        return f"{self.container}:{self.prefix.rstrip('.')}".strip(":")

    @property
    def format(self) -> str:
        """The published format's name."""
        return format_name(self.container, self.prefix, self.dialect, self.tensors)

    def key(self, name: str) -> str:
        """The file's key for torchvision's `name`."""
        return self.prefix + DIALECTS[self.dialect](name)

    def answers_to(self, part: str) -> bool:
        """Whether "FILE#part" means this candidate."""
        return part in (self.spelled, self.container, self.prefix.rstrip("."))

    def description(self) -> str:
        """How close it comes, naming the first few tensors that do not fit."""
        fitting = len(resnet50_shapes()) - len(self.missing) - len(self.misshapen)
        text = f"{fitting} of {len(resnet50_shapes())} tensors under {self.prefix!r}"
        text += f" in {self.container!r}" if self.container else ""
        unexpected = (*self.foreign, *(key for key in self.unexpected if key not in self.foreign))
        for word, keys in (("missing", self.missing), ("misshapen", self.misshapen), ("unexpected", unexpected)):
            if keys:
                text += f"; {word} {', '.join(keys[:LISTED])}"
                text += f" and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
        return text


def candidates(tree: Any) -> list[Candidate]:
    """Every place in `tree` where a ResNet-50 might be, the best fitting first."""
    found = [
        _candidate(container, prefix, dialect, tensors)
        for container, tensors in _tensor_maps(tree)
        for dialect in DIALECTS
        for prefix in _prefixes(tensors, dialect)
    ]
    return sorted(found, key=_fit)


def _fit(one: Candidate) -> tuple[int, int, bool, str]:
    return len(one.missing) + len(one.misshapen), len(one.unexpected), not one.known, one.spelled


def _tensor_maps(
    node: Any, where: str = "", depth: int = 0, seen: set[int] | None = None
) -> Iterator[tuple[str, TensorMap]]:
    # A small file may refer to the same part many times over: each is walked once.
    seen = set() if seen is None else seen
    if not isinstance(node, Mapping) or depth > MAX_DEPTH or id(node) in seen:
        return
    seen.add(id(node))
    tensors = {key: value for key, value in node.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}
    if tensors:
        yield where, tensors
    for key, value in node.items():
        yield from _tensor_maps(value, f"{where}/{key}".strip("/"), depth + 1, seen)


def _prefixes(tensors: TensorMap, dialect: str) -> set[str]:
    # Two anchors, so that a file that lacks one of them still shows its closest candidate.
    anchors = [DIALECTS[dialect](name) for name in ("bn1.running_mean", "layer4.2.bn3.running_var")]
    return {key.removesuffix(anchor) for anchor in anchors for key in tensors if _ends_in(key, anchor)}


def _ends_in(key: str, anchor: str) -> bool:
    return key == anchor or key.endswith("." + anchor)


def odd_kind(tensor: torch.Tensor) -> str:
    """What keeps a tensor's numbers from being read as they stand (sparse, quantized, without data), or empty."""
    if tensor.is_quantized:
        return "quantized"
    if tensor.layout is not torch.strided or tensor.device.type != "cpu":
        return f"{tensor.layout} on {tensor.device}"
    return ""


def _candidate(container: str, prefix: str, dialect: str, tensors: TensorMap) -> Candidate:
    missing, misshapen, keys = [], [], set()
    for name, shape in resnet50_shapes().items():
        key = prefix + DIALECTS[dialect](name)
        keys.add(key)
        if key not in tensors:
            missing.append(key)
        elif tuple(tensors[key].shape) != shape:
            misshapen.append(f"{key} {tuple(tensors[key].shape)} instead of {shape}")
        elif kind := odd_kind(tensors[key]):
            misshapen.append(f"{key} ({kind})")
        elif not tensors[key].is_floating_point():
            misshapen.append(f"{key} ({tensors[key].dtype}, not floating point)")
    unexpected = sorted(
        key
        for key in tensors
        if key.startswith(prefix)
        and key not in keys
        and not key.endswith("num_batches_tracked")
        and not key.startswith(tuple(prefix + extra for extra in EXPECTED_EXTRAS))
    )
    return Candidate(container, prefix, dialect, tensors, tuple(missing), tuple(misshapen), tuple(unexpected))
