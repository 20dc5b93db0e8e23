"""What the scale model claims, checked with gloo: a step lasts as long as its computation and its collectives.

`python -m benchmarks.scale_check` runs a small VICReg on 1, 2 and 4 ranks of this machine. In every round each rank
takes a whole step, then the same computation without a process group while the others do too, then the computation with
batch norm's collectives only, then each kind of collective alone, one after the other; what disturbs the machine for
longer than a round disturbs them all. On fewer cores than ranks the computation slows down with the crowd; it is
measured in that crowd.

Batch norm is in the table twice. In a row its 220 collectives cost their latency; in the midst of a step each of them
also waits for the slowest rank to arrive. The sum takes the second.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import nn

from benchmarks.ranks import on_ranks
from pretrain import distributed
from pretrain.distributed import World, parallel, synchronised_batch_norm
from pretrain.lars import LARS
from pretrain.methods import build
from pretrain.recipes import demo

RANKS = (1, 2, 4)
GLOBAL_BATCH = 64
SIZE = 64
WIDTH = 1024
CPU = torch.device("cpu")


def main() -> int:
    """Print one line for each number of ranks: predicted, measured, and the parts."""
    print(
        "| ranks | whole step ms | computation | batch norm in a row | in the midst | gather | gradients "
        "| sum of parts | sum / whole |"
    )
    print("| --- " * 9 + "|")
    for ranks in RANKS:
        whole, computation, with_norm, norm, gather, gradients = slowest(on_ranks(measured, ranks, 5))
        in_the_midst = with_norm - computation
        total = computation + in_the_midst + gather + gradients
        parts = (whole, computation, norm, in_the_midst, gather, gradients, total)
        print(f"| {ranks} | {' | '.join(f'{1e3 * value:.0f}' for value in parts)} | {total / whole:.2f} |", flush=True)
    return 0


def slowest(by_rank: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Each part's time on the rank where it took longest: the others wait for it."""
    return tuple(max(part) for part in zip(*by_rank, strict=True))


def measured(
    rank: int, ranks: int, rounds: int, batch: int = GLOBAL_BATCH, size: int = SIZE, width: int = WIDTH
) -> tuple[float, ...]:
    """Seconds of the whole step, its computation, the same with batch norm's collectives, and the collectives alone:
    batch norm's, the embeddings', the gradients'.
    """
    torch.manual_seed(0)
    recipe = replace(demo(), projector_width=width, global_batch_size=batch)
    method = build(recipe)
    # The computation of several ranks includes their own batch norm's, which is not torch's.
    by_itself = method if ranks == 1 else synchronised_batch_norm(method, CPU)
    alone = Stepper(by_itself, by_itself, batch // ranks, size)
    network = parallel(build(recipe), World(rank, ranks, CPU))
    together = Stepper(network, network, batch // ranks, size)
    if ranks == 1:
        whole, computation = in_turns([together, alone], rounds)
        return whole, computation, computation, 0.0, 0.0, 0.0
    channels = [
        module.num_features for module in method.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    statistics = [torch.zeros(2 * count) for count in channels]
    embeddings = torch.zeros(batch // ranks, width)
    gathered = [torch.zeros_like(embeddings) for _ in range(ranks)]
    gradients = torch.zeros(sum(parameter.numel() for parameter in method.parameters()))
    work: list[Callable[[], object]] = [
        together, without_group(alone), with_batch_norm_only(alone),
        lambda: [dist.all_reduce(statistic) for _ in range(4) for statistic in statistics],
        lambda: [dist.all_gather(gathered, embeddings) for _ in range(2)],
        lambda: dist.all_reduce(gradients),
    ]  # fmt: skip
    return in_turns(work, rounds)


class Stepper:
    """Forward of two views, loss, backward and LARS on random images."""

    def __init__(self, network: nn.Module, owner: nn.Module, images: int, size: int) -> None:
        self.network = network
        self.optimizer = LARS(owner.parameters(), lr=1e-3)
        self.views = [torch.randn(images, 3, size, size) for _ in range(2)]

    def __call__(self) -> None:
        """Take the step."""
        self.optimizer.zero_grad(set_to_none=True)
        self.network(*self.views).terms["loss"].backward()
        self.optimizer.step()


def without_group(work: Callable[[], object]) -> Callable[[], object]:
    """`work` as if there were one rank, with the same arithmetic: batch norm and loss talk to nobody."""

    def gather(received: list[torch.Tensor], own: torch.Tensor) -> None:
        for one in received:
            one.copy_(own)

    def run() -> object:
        with (
            patch.object(distributed, "world_size", lambda: 1),
            patch.object(dist, "all_reduce", lambda tensor: None),
            patch.object(dist, "all_gather", gather),
        ):
            return work()

    return run


def with_batch_norm_only(work: Callable[[], object]) -> Callable[[], object]:
    """`work` in which batch norm talks to the other ranks and the loss to nobody."""

    def run() -> object:
        with patch.object(distributed, "world_size", lambda: 1):
            return work()

    return run


def in_turns(works: Sequence[Callable[[], object]], rounds: int) -> tuple[float, ...]:
    """Median wall seconds of each, one after the other in every round, all ranks starting together; one to warm up."""
    samples: list[list[float]] = [[] for _ in works]
    for _ in range(rounds + 1):
        for work, seconds in zip(works, samples, strict=True):
            dist.barrier()
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
    return tuple(median(seconds[1:]) for seconds in samples)


if __name__ == "__main__":
    raise SystemExit(main())
