"""Every renaming of a ResNet-50's tensors for the transfer libraries; one table a library serves both directions.

The names of this suite are torchvision's ("layer1.0.bn2.running_mean"). VISSL keeps them behind a prefix; Detectron2
calls the stem "stem", the stages res2 to res5, each batch norm the `norm` of its convolution and the projection
"shortcut". A key without an entry is an error in either direction: a tensor that is passed over in silence is how
random weights come to be evaluated.
"""

import functools
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from results.refusal import Refusal

Library = Literal["vissl", "detectron2"]
LIBRARIES: tuple[Library, ...] = ("vissl", "detectron2")

STAGE_DEPTHS = (3, 4, 6, 3)
VISSL_PREFIX = "_feature_blocks."
BATCH_NORM_TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

Tensor = TypeVar("Tensor")


def torchvision_keys() -> tuple[str, ...]:
    """The 318 tensor names of torchvision's ResNet-50 without its classifier (53 of them num_batches_tracked)."""
    return tuple(key for convolution, norm in _convolutions_and_norms() for key in _tensors(convolution, norm))


@functools.cache
def table(library: Library) -> Mapping[str, str]:
    """Torchvision name -> the library's name, for each of the 318 tensors; no two share a name."""
    if library == "vissl":
        return {key: VISSL_PREFIX + key for key in torchvision_keys()}
    renamed: dict[str, str] = {}
    for convolution, norm in _convolutions_and_norms():
        target = _detectron2_convolution(convolution)
        renamed |= dict(zip(_tensors(convolution, norm), _tensors(target, f"{target}.norm"), strict=True))
    return renamed


def rename(state_dict: Mapping[str, Tensor], library: Library) -> dict[str, Tensor]:
    """The torchvision-named ResNet-50 under the library's names, in torchvision's order; values untouched.

    Raises:
        Refusal: naming the first tensor that is missing or that the table does not know.
    """
    return _apply(state_dict, table(library), f"a ResNet-50 backbone for {library}")


def rename_back(state_dict: Mapping[str, Tensor], library: Library) -> dict[str, Tensor]:
    """The inverse of `rename`: the library's names become torchvision's; values untouched.

    Raises:
        Refusal: naming the first tensor that is missing or that the table does not know.
    """
    inverse = {there: here for here, there in table(library).items()}
    return _apply(state_dict, inverse, f"a ResNet-50 as {library} names it")


def _apply(state_dict: Mapping[str, Any], names: Mapping[str, str], what: str) -> dict[str, Any]:
    if unknown := [key for key in state_dict if key not in names]:
        raise Refusal(f"{len(unknown)} tensors do not belong to {what}, the first is {unknown[0]!r}")
    if missing := [key for key in names if key not in state_dict]:
        raise Refusal(f"{len(missing)} of {len(names)} tensors of {what} are missing, the first is {missing[0]!r}")
    return {target: state_dict[source] for source, target in names.items()}


def _convolutions_and_norms() -> list[tuple[str, str]]:
    """Each of the 53 convolutions with the batch norm that follows it, in the order torchvision registers them."""
    pairs = [("conv1", "bn1")]
    for stage, depth in enumerate(STAGE_DEPTHS, start=1):
        for block in range(depth):
            prefix = f"layer{stage}.{block}."
            pairs += [(f"{prefix}conv{i}", f"{prefix}bn{i}") for i in (1, 2, 3)]
            if block == 0:
                pairs.append((f"{prefix}downsample.0", f"{prefix}downsample.1"))
    return pairs


def _tensors(convolution: str, norm: str) -> list[str]:
    return [f"{convolution}.weight", *(f"{norm}.{name}" for name in BATCH_NORM_TENSORS)]


def _detectron2_convolution(convolution: str) -> str:
    if convolution == "conv1":
        return "stem.conv1"
    stage, block, rest = convolution.split(".", 2)
    number = int(stage.removeprefix("layer")) + 1  # Detectron2 counts the stem as stage 1
    return f"res{number}.{block}.{'shortcut' if rest == 'downsample.0' else rest}"
