"""A LARS step over every parameter of ResNet-50 and the projector, against a loop over tensors."""

import torch
from torch import nn

from benchmarks import textbook
from benchmarks.harness import Clock, Outcome, compared, cpu_seconds, wall_seconds
from pretrain.expander import expander
from pretrain.lars import LARS
from pretrain.resnet import resnet50

PARAMETERS = 174_552_128


def step(clock: Clock = cpu_seconds) -> Outcome:
    """Full size: 23,508,032 parameters of the backbone and 151,044,096 of the projector."""
    parameters = [*resnet50().parameters(), *expander(2048, 8192).parameters()]
    assert sum(parameter.numel() for parameter in parameters) == PARAMETERS
    return measure(parameters, rounds=7, clock=clock)


def step_by_wall_clock() -> Outcome:
    """The same, on as many threads as the row has."""
    return step(wall_seconds)


def measure(parameters: list[nn.Parameter], *, rounds: int, clock: Clock = cpu_seconds) -> Outcome:
    """Steps of both optimizers from the same weights and gradients."""
    random = torch.Generator().manual_seed(0)
    gradients = [1e-3 * torch.randn(parameter.shape, generator=random) for parameter in parameters]
    mine, theirs = ([nn.Parameter(parameter.detach().clone()) for parameter in parameters] for _ in range(2))
    for side in (mine, theirs):
        for parameter, value in zip(side, gradients, strict=True):
            parameter.grad = value.clone()
    ours, baseline = LARS(mine, lr=0.1), textbook.LARS(theirs, lr=0.1)
    return compared(
        ours.step, baseline.step, rounds=rounds, repeats=2, clock=clock, tensors=len(parameters),
        parameters=sum(parameter.numel() for parameter in parameters),
    )  # fmt: skip
