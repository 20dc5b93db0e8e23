"""Run by test_distributed as each of several ranks (and in-process as the only one): three steps on a fixed batch."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pretrain import distributed
from pretrain.expander import expander
from pretrain.lars import LARS
from pretrain.methods import VICReg
from pretrain.recompute import recompute_blocks
from pretrain.resnet import ResNet
from pretrain.settings import Recipe

LR = 0.4


def tiny_method(width: int, dtype: torch.dtype, *, smooth: bool) -> VICReg:
    """The real method around a ResNet of one block per stage: 14 convolutions, 16 batch norms.

    `smooth` takes away its kinks, at which two correct computations fall on either side and their gradients differ by
    a whole sample's share: with ReLU, float32 is 2e-3 away from float64 after three steps of a single rank.
    """
    torch.manual_seed(0)
    method = VICReg(Recipe(projector_width=8))
    method.backbone = ResNet((1, 1, 1, 1), zero_init_residual=False)
    method.projector = expander(2048, width)
    if smooth:
        without_kinks(method)
    return method.to(dtype)


def without_kinks(module: nn.Module) -> None:
    """Put a smooth function in place of every ReLU and maximum."""
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, nn.Softplus())
        elif isinstance(child, nn.MaxPool2d):
            setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
        else:
            without_kinks(child)


def three_steps(
    width: int, samples: int, dtype: torch.dtype, world: distributed.World, *, smooth: bool, recompute: bool = False
) -> dict[str, torch.Tensor]:
    """Losses, the first step's gradients and the state after three LARS steps, by name."""
    method = tiny_method(width, dtype, smooth=smooth)
    if recompute:
        recompute_blocks(method.backbone)
    network = distributed.parallel(method, world)
    optimizer = LARS(method.parameters(), lr=LR)
    random = np.random.default_rng(1)
    found: dict[str, torch.Tensor] = {}
    for step in range(3):
        views = [torch.tensor(random.standard_normal((samples, 3, 32, 32)), dtype=dtype) for _ in range(2)]
        share = np.array_split(np.arange(samples), world.size)[world.rank]
        outputs = network(*(view[share] for view in views))
        optimizer.zero_grad()
        outputs.terms["loss"].backward()
        found |= {f"{step}/term/{name}": value.detach() for name, value in outputs.terms.items()}
        if step == 0:
            found |= {f"gradient/{name}": p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}
        optimizer.step()
    return found | {f"state/{name}": tensor for name, tensor in method.state_dict().items()}


def main() -> None:
    """rank_worker.py FOLDER WIDTH SAMPLES DTYPE SMOOTH RECOMPUTE, with torchrun's environment variables."""
    folder, width, samples, dtype, smooth, recompute = sys.argv[1:]
    torch.set_num_threads(1)
    with distributed.joined_world("cpu", timeout_minutes=2) as world:
        found = three_steps(
            int(width),
            int(samples),
            getattr(torch, dtype),
            world,
            smooth=smooth == "True",
            recompute=recompute == "True",
        )
        torch.save(found, Path(folder) / f"rank{world.rank}.pt")


if __name__ == "__main__":
    main()
