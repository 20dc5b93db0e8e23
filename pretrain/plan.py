"""`--dry-run`: every resolved setting, the number of steps, the parameters, and what a rank will need of memory.

Needs neither data nor GPU: networks are built on torch's meta device, which has shapes but no storage.
"""

import copy
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from pretrain.methods import Method, build
from pretrain.recipes import NAMED_RECIPES, RECIPES
from pretrain.resnet import Bottleneck
from pretrain.run import Run, Slurm, output_folder
from pretrain.settings import Recipe
from results.settings import deviations, settings_hash

BYTES_FLOAT32 = 4
BYTES_HALF = 2


@dataclasses.dataclass(frozen=True)
class Memory:
    """Estimated bytes per rank. `states` are weights, gradients and momentum; `activations` what backward needs."""

    states: int
    activations: int
    loss: int

    @property
    def total(self) -> int:
        """All of it, without the allocator's and cuDNN's own."""
        return self.states + self.activations + self.loss


def describe(name: str, recipe: Recipe, run: Run, slurm: Slurm) -> str:
    """The whole plan as text, one "field: value" a line."""
    ranks = _ranks(slurm)
    with torch.device("meta"):
        method = build(recipe)
    steps = recipe.steps_per_epoch(recipe.train_images)
    memory = estimate_memory(
        recipe, ranks, half=run.precision != "float32", method=method, recompute=run.recompute_activations
    )
    lines = [NAMED_RECIPES[name].description, ""]
    lines += [f"{field}: {value}" for field, value in _fields("recipe", recipe)]
    lines += [f"{field}: {value}" for field, value in _fields("run", run)]
    lines += [f"{field}: {value}" for field, value in _fields("slurm", slurm)]
    lines += [
        "",
        f"recipe hash: {settings_hash(recipe)}",
        f"deviations from {name}: {'; '.join(deviations(RECIPES[name], recipe)) or 'none'}",
        f"output folder: {output_folder(run, name)}",
        f"ranks: {ranks}, batch per rank: {recipe.global_batch_size / ranks:g}",
        f"steps per epoch: {steps:,} for {recipe.train_images:,} images",
        f"total steps: {recipe.epochs * steps:,}, of them warm-up: {recipe.warmup_epochs * steps:,}",
        f"learning rate: 0 to {recipe.peak_lr:g}, then to {recipe.end_lr:g}",
        f"backbone parameters: {parameter_count(method.backbone):,}",
        f"projector parameters: {parameter_count(method.projector):,}",
        f"estimated memory per rank: {_gib(memory.total)} (weights, gradients and momentum {_gib(memory.states)}, "
        f"activations {_gib(memory.activations)}, loss {_gib(memory.loss)})",
    ]
    return "\n".join(lines)


def estimate_memory(recipe: Recipe, ranks: int, *, half: bool, method: Method, recompute: bool = False) -> Memory:
    """What one of `ranks` holds at the end of its forward passes; `method` lives on the meta device."""
    rows = -(-recipe.global_batch_size // ranks)
    n, d = recipe.global_batch_size, recipe.projector_width
    # Per view: all ranks' centred rows, this rank's own in float32, and the smaller of the two products.
    product = rows * n if n < d else d * d
    return Memory(
        # Autocast keeps a half copy of every weight until the step ends.
        states=(3 * BYTES_FLOAT32 + (BYTES_HALF if half else 0)) * parameter_count(method),
        activations=rows * activation_bytes_per_image(recipe, method, half=half, recompute=recompute),
        loss=2 * BYTES_FLOAT32 * (n * d + 2 * rows * d + product),
    )


def activation_bytes_per_image(recipe: Recipe, method: Method, *, half: bool, recompute: bool = False) -> int:
    """Bytes that autograd keeps for both views of one image, counted by running them on the meta device.

    With `recompute` the residual blocks keep their inputs, and one block at a time all of its own.
    """
    probe, size = 4, recipe.view_a.size
    # Autocast does not reach the meta device: what it would keep in half precision is counted on a half network.
    dtype = torch.bfloat16 if half else torch.float32
    method = copy.deepcopy(method).to(dtype)
    weights = {parameter.untyped_storage()._cdata for parameter in method.parameters()}
    # One storage saved by several operations is held once; holding it here keeps its address from being reused.
    kept: dict[int, torch.UntypedStorage] = {}
    outside: list[dict[int, torch.UntypedStorage]] = []
    of_blocks = [0]

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    def total() -> int:
        return sum(storage.nbytes() for key, storage in kept.items() if key not in weights)

    def enter(block: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        keep(inputs[0])
        outside.append(dict(kept))

    def leave(block: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        in_all = total()
        kept.clear()
        kept.update(outside.pop())
        of_blocks.append(in_all - total())

    if recompute:
        for block in method.backbone.modules():
            if isinstance(block, Bottleneck):
                block.register_forward_pre_hook(enter)
                block.register_forward_hook(leave)
    with torch.autograd.graph.saved_tensors_hooks(keep, _as_it_is):
        for _ in range(2):
            method.projector(method.backbone(torch.empty(probe, 3, size, size, device="meta", dtype=dtype)))
    return (total() + max(of_blocks)) // probe


def parameter_count(module: nn.Module) -> int:
    """Number of trainable numbers."""
    return sum(parameter.numel() for parameter in module.parameters())


def _as_it_is(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _ranks(slurm: Slurm) -> int:
    if slurm.nodes:
        return slurm.nodes * max(1, slurm.gpus_per_node)
    return int(os.environ.get("WORLD_SIZE", "1"))


def _fields(prefix: str, settings: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(f"{prefix}.{field.name}", value)
        else:
            yield f"{prefix}.{field.name}", value


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
