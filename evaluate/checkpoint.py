"""The door for every published checkpoint: a path in, torchvision-named ResNet-50 weights out, or a refusal with why.

Two things content cannot tell, because the tensors are the same: a stride in the 1x1 instead of the 3x3 convolution
(MSRA and Caffe2 models), and the order of the colour channels. A file that *declares* such a stride is refused; one
that keeps silent is taken for what every self-supervised ResNet-50 is: stride in the 3x3, RGB.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evaluate.architecture import norm_names, resnet50_shapes
from evaluate.candidates import MAX_DEPTH, Candidate, candidates, odd_kind
from evaluate.containers import read_tree
from evaluate.pickles import StandIn
from evaluate.weights import ResolvedWeights, resolve
from results.refusal import Refusal

# Keys by which Detectron2 and transformers declare the stride in the 1x1 convolution.
STRIDE_FLAGS = ("STRIDE_IN_1X1", "stride_in_1x1", "downsample_in_bottleneck")
RANDOM_INIT_SEED = 0


@dataclass(frozen=True)
class Backbone:
    """ResNet-50 weights under torchvision's names, without fc.

    `state_dict` holds 318 float32 entries (265 weights and statistics, 53 batch counters) and loads with strict=True;
    `source` says which published format it was found in and where; `warnings` are for the user to read.
    """

    state_dict: dict[str, torch.Tensor]
    source: str
    sha256: str
    warnings: tuple[str, ...] = ()


def load_with_warnings(checkpoint: str) -> Backbone:
    """`load_backbone`, and its warnings said on stderr."""
    backbone = load_backbone(checkpoint)
    for warning in backbone.warnings:
        print(f"warning: {checkpoint}: {warning}", file=sys.stderr, flush=True)
    return backbone


def load_backbone(checkpoint: str | Path | ResolvedWeights) -> Backbone:
    """Read the ResNet-50 backbone out of `checkpoint` (a path, "PATH#PART", a known name, or "random-init").

    Raises:
        Refusal: no such file, not a weights file, a pickle that names an unknown global, or no complete ResNet-50
            inside; the message names the closest candidate with what is missing, misshapen or unexpected.
    """
    weights = checkpoint if isinstance(checkpoint, ResolvedWeights) else resolve(str(checkpoint))
    if weights.path is None:
        return Backbone(_random_state_dict(), weights.origin, weights.sha256)
    tree, container = read_tree(weights.path)
    if flag := _declared_flag(tree):
        raise Refusal(
            f"{weights.path} declares {flag}: its stride is in the 1x1 convolutions, which is another network under "
            "the same names; give a ResNet-50 with the stride in the 3x3"
        )
    chosen = _choose(candidates(tree), weights)
    state_dict = _state_dict(chosen)
    _refuse_impossible_values(state_dict, weights.path, chosen)
    return Backbone(state_dict, f"{chosen.format} ({container})", weights.sha256, _sanity_warnings(state_dict))


def _choose(found: list[Candidate], weights: ResolvedWeights) -> Candidate:
    """The one complete candidate: of a published format, or the part that was asked for."""
    if not found:
        raise Refusal(f"{weights.path} holds no tensors of a ResNet; give a ResNet-50 checkpoint")
    complete = [one for one in found if one.complete]
    if weights.part:
        complete = [one for one in complete if one.answers_to(weights.part)]
    else:
        complete = [one for one in complete if one.known]
    if len(complete) > 1:
        # DINO publishes both and evaluates the teacher.
        complete = [one for one in complete if one.container.endswith("teacher")] or complete
    if len(complete) == 1:
        return complete[0]
    raise Refusal(_why_not(found, complete, weights))


def _why_not(found: list[Candidate], complete: list[Candidate], weights: ResolvedWeights) -> str:
    parts = ", ".join(f"{weights.path}#{one.spelled}" for one in found if one.complete and one.spelled)
    if complete:
        return f"{weights.path} holds several ResNet-50 backbones; choose one: {parts}"
    if weights.part:
        return f"{weights.path} has no complete ResNet-50 named {weights.part!r}; {_closest(found)}"
    if parts:
        first = found[0]
        return (
            f"{weights.path}: no published format keeps its backbone under {first.prefix!r} (first tensor "
            f"{first.key('conv1.weight')}); if it is the backbone you mean, say so: {parts}"
        )
    return f"{weights.path} holds no complete ResNet-50; {_closest(found)}"


def _closest(found: list[Candidate]) -> str:
    return f"the closest candidate has {found[0].description()}"


def _state_dict(chosen: Candidate) -> dict[str, torch.Tensor]:
    """Float32 copies in torchvision's order, with each norm's batch counter (0 where the file keeps none)."""
    state: dict[str, torch.Tensor] = {}
    for name in resnet50_shapes():
        state[name] = chosen.tensors[chosen.key(name)].detach().to(torch.float32, copy=True).contiguous()
        if name.endswith(".running_var"):
            counter = name.replace("running_var", "num_batches_tracked")
            state[counter] = _batch_count(chosen.tensors.get(chosen.key(counter)))
    return state


def _batch_count(found: torch.Tensor | None) -> torch.Tensor:
    """A norm's batch counter, () int64; 0 where the file keeps none, or something that is no count."""
    if found is None or odd_kind(found) or found.numel() != 1 or not bool(torch.isfinite(found).all()):
        return torch.tensor(0)
    return found.detach().to(torch.int64, copy=True).reshape(())


def _refuse_impossible_values(state_dict: Mapping[str, torch.Tensor], path: Path, chosen: Candidate) -> None:
    for name, tensor in state_dict.items():
        if not torch.isfinite(tensor).all():
            raise Refusal(f"{path}: {chosen.key(name)} holds values that are not finite; the training diverged")
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise Refusal(f"{path}: {chosen.key(name)} holds negative variances; the file is damaged")


def _sanity_warnings(state_dict: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
    """Warn of statistics that no training leaves behind: mean exactly 0 and variance exactly 1 in every norm."""
    untouched = [
        name
        for name in norm_names()
        if bool((state_dict[f"{name}.running_mean"] == 0).all() and (state_dict[f"{name}.running_var"] == 1).all())
    ]
    if len(untouched) == len(norm_names()):
        return ("all batch norm statistics are zero mean and unit variance: these weights look untrained",)
    if untouched:
        return (f"{len(untouched)} of 53 batch norms never saw data, the first is {untouched[0]}",)
    return ()


def _declared_flag(node: Any, depth: int = 0, seen: set[int] | None = None) -> str:
    """The key by which the file says its stride is in the 1x1 convolutions, or an empty string."""
    seen = set() if seen is None else seen
    if isinstance(node, StandIn):
        node = node.state
    if not isinstance(node, Mapping) or depth > MAX_DEPTH or id(node) in seen:
        return ""
    seen.add(id(node))
    for key, value in node.items():
        if key in STRIDE_FLAGS and str(value).lower() == "true":
            return f"{key}={value}"
        if found := _declared_flag(value, depth + 1, seen):
            return found
    return ""


def _random_state_dict() -> dict[str, torch.Tensor]:
    """What pretraining starts from, the same on every machine: the control row."""
    from evaluate.trunk import new_trunk

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_INIT_SEED)
        return {name: tensor.clone() for name, tensor in new_trunk().state_dict().items()}
