"""Run by test_methods_on_ranks as each of two ranks (and in-process as the only one): two steps of every method."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pretrain import distributed
from pretrain.branches import METHODS, BranchRecipe
from pretrain.methods import build
from pretrain.optimizers import build_optimizer, set_rates
from pretrain.recipes import RECIPES
from pretrain.settings import LossRecipe, Recipe

ASYMMETRIC = BranchRecipe(stop_gradient=True, predictor=True, predictor_lr="constant")
LOSS = LossRecipe(1.0, 1.0, 0.5, covariance_of="unit-projections")
COMMON = replace(RECIPES["demo"], loss=LOSS, projector_width=12)
CASES: dict[str, Recipe] = {
    "BYOL": replace(COMMON, method="BYOL", branches=replace(ASYMMETRIC, momentum_encoder=True, target_momentum=0.5)),
    "SimSiam": replace(COMMON, method="SimSiam", branches=ASYMMETRIC, optimizer="sgd", base_lr=0.2),
    "Barlow Twins": replace(COMMON, method="Barlow Twins", base_lr_vectors=0.1),
    "VICReg": replace(COMMON, branches=BranchRecipe(predictor=True, output="unit")),
    "VICReg standardised": replace(COMMON, branches=BranchRecipe(output="standardised", batch_norm=False)),
}


class Trunk(nn.Module):
    """A convolution with batch norm, pooled: images to 5 features."""

    out_features = 5

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu().mean((2, 3))  # type: ignore[no-any-return]


@contextmanager
def small_trunks() -> Iterator[None]:
    modules = [import_module(path.split(":")[0]) for path in METHODS.values()]
    before = [module.ARCHITECTURES for module in modules]
    try:
        for module in modules:
            module.ARCHITECTURES = {"resnet50": Trunk}  # type: ignore[attr-defined]
        yield
    finally:
        for module, found in zip(modules, before, strict=True):
            module.ARCHITECTURES = found  # type: ignore[attr-defined]


def two_steps(recipe: Recipe, world: distributed.World) -> dict[str, Tensor]:
    """Terms, first gradients and the state after two steps on 11 images, by name."""
    torch.manual_seed(0)
    with small_trunks():
        method = build(recipe).double()
    network = distributed.parallel(method, world)
    optimizer = build_optimizer(recipe, method)
    set_rates(optimizer, recipe, 0.3)
    random = np.random.default_rng(1)
    share = np.array_split(np.arange(11), world.size)[world.rank]
    found: dict[str, Tensor] = {}
    for step in range(2):
        views = [torch.tensor(random.standard_normal((11, 3, 6, 6)))[share] for _ in range(2)]
        outputs = network(*views)
        optimizer.zero_grad()
        outputs.terms["loss"].backward()
        found |= {f"{step}/{name}": value.detach() for name, value in outputs.terms.items()}
        if step == 0:
            found |= {f"gradient/{name}": p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}
        optimizer.step()
        method.after_step(step, 2)
    return found | {f"state/{name}": tensor for name, tensor in method.state_dict().items()}


def main() -> None:
    """method_worker.py FOLDER, with torchrun's environment variables."""
    torch.set_num_threads(1)
    with distributed.joined_world("cpu", timeout_minutes=2) as world:
        found = {name: two_steps(recipe, world) for name, recipe in CASES.items()}
        torch.save(found, Path(sys.argv[1]) / f"rank{world.rank}.pt")


if __name__ == "__main__":
    main()
