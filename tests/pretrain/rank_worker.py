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
from pretrain.resnet import ResNet
from pretrain.settings import Recipe

# At 0.4 a bias in front of a batch norm, whose gradient is rounding alone, leaves the bound of float32; at one of the
# warm-up's first rates it does not.
LR = {torch.float64: 0.4, torch.float32: 0.002}


def tiny_method(width: int, dtype: torch.dtype) -> VICReg:
    """The real method around a ResNet of one block per stage: 14 convolutions, 16 batch norms.

    In float32 its activations are smooth. At a kink two correct computations fall on either side and their gradients
    differ by a whole sample's share: with ReLU one rank in float32 is 2e-3 away from the same rank in float64.
    """
    torch.manual_seed(0)
    method = VICReg(Recipe(projector_width=8))
    method.backbone = ResNet((1, 1, 1, 1), zero_init_residual=False)
    method.projector = expander(2048, width)
    if dtype == torch.float32:
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


def three_steps(width: int, samples: int, dtype: torch.dtype, world: distributed.World) -> dict[str, torch.Tensor]:
    """Losses, the first step's gradients and the state after three LARS steps, by name."""
    method = tiny_method(width, dtype)
    network = distributed.parallel(method, world)
    optimizer = LARS(method.parameters(), lr=LR[dtype])
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
    """rank_worker.py FOLDER WIDTH SAMPLES DTYPE, with torchrun's environment variables."""
    folder, width, samples, dtype = sys.argv[1:]
    torch.set_num_threads(1)
    with distributed.joined_world("cpu", timeout_minutes=2) as world:
        found = three_steps(int(width), int(samples), getattr(torch, dtype), world)
        torch.save(found, Path(folder) / f"rank{world.rank}.pt")


if __name__ == "__main__":
    main()
