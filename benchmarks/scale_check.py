"""The scale model's prediction against gloo, on 1, 2 and 4 ranks of this machine: `python -m benchmarks.scale_check`.

A small VICReg takes whole steps. The prediction knows the computation of one rank, and each kind of collective measured
alone; it combines them as `benchmarks.scale_model` does. Ranks beyond this machine's cores share them, which GPUs do
not: the prediction divides the computation by the cores then, and lets the ranks' optimizers queue.

Beside it stands what the parts were in the run itself. In every round each rank takes a whole step, then the same
computation and the same optimizer step talking to nobody while the others do too, then the computation with batch
norm's collectives only, then each kind of collective in a row; what disturbs the machine for longer than a round
disturbs them all.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from statistics import median
from types import SimpleNamespace
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import nn

from benchmarks.ranks import on_ranks
from benchmarks.scale_model import OVERLAPPED, Step
from pretrain import batch_norm, distributed
from pretrain.distributed import World, parallel, synchronised_batch_norm
from pretrain.lars import LARS
from pretrain.methods import build
from pretrain.recipes import demo
from results.probe import cores

RANKS = (1, 2, 4)
GLOBAL_BATCH = 64
SIZE = 64
WIDTH = 1024
CPU = torch.device("cpu")
HEADINGS = (
    "ranks", "whole step ms", "predicted", "predicted / whole", "computation", "optimizer", "batch norm in a row",
    "in the midst", "gather", "gradients", "sum of parts / whole",
)  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """Median seconds of a step and of its parts, on the rank where each took longest.

    `norm` are batch norm's collectives in a row, `norm_in_the_midst` what they add to the computation around them.
    """

    whole: float
    computation: float
    optimizer: float
    norm_in_the_midst: float = 0.0
    norm: float = 0.0
    gather: float = 0.0
    gradients: float = 0.0

    @property
    def total(self) -> float:
        """The parts one after the other."""
        return self.computation + self.optimizer + self.norm_in_the_midst + self.gather + self.gradients


def main() -> int:
    """Print one line for each number of ranks: measured, predicted, and the parts."""
    print("| " + " | ".join(HEADINGS) + " |")
    print("| --- " * len(HEADINGS) + "|")
    alone: Parts | None = None
    for ranks in RANKS:
        found = slowest(on_ranks(measured, ranks, 5))
        alone = alone or found
        print(row(ranks, found, predicted(alone, found, ranks, cores()).seconds), flush=True)
    return 0


def row(ranks: int, found: Parts, prediction: float) -> str:
    """A line of the table."""
    seconds = (
        found.computation, found.optimizer, found.norm, found.norm_in_the_midst, found.gather, found.gradients,
    )  # fmt: skip
    cells = [
        str(ranks), f"{1e3 * found.whole:.0f}", f"{1e3 * prediction:.0f}", f"{prediction / found.whole:.2f}",
        *(f"{1e3 * value:.0f}" for value in seconds), f"{found.total / found.whole:.2f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def predicted(alone: Parts, collectives: Parts, ranks: int, processors: int) -> Step:
    """The model's step on `ranks` ranks from what one rank computes and what the collectives among them last."""
    computation = alone.computation / min(ranks, processors)
    return Step(
        compute=computation,
        batch_norm=collectives.norm,
        gather=collectives.gather,
        loss=0.0,  # in the computation
        gradients_shown=max(0.0, collectives.gradients - OVERLAPPED * computation),
        optimizer=alone.optimizer * max(1.0, ranks / processors),
        data=0.0,
    )


def slowest(by_rank: Sequence[Parts]) -> Parts:
    """Each part's time on the rank where it took longest: the others wait for it."""
    return Parts(*(max(part) for part in zip(*map(astuple, by_rank), strict=True)))


def measured(
    rank: int, ranks: int, rounds: int, batch: int = GLOBAL_BATCH, size: int = SIZE, width: int = WIDTH
) -> Parts:
    """This rank's seconds."""
    torch.manual_seed(0)
    recipe = replace(demo(), projector_width=width, global_batch_size=batch)
    network = parallel(build(recipe), World(rank, ranks, CPU))
    method = build(recipe)
    # The computation of several ranks includes their own batch norm's, which is not torch's.
    alone = Stepper(method if ranks == 1 else synchronised_batch_norm(method, CPU), batch // ranks, size)
    together = Stepper(network, batch // ranks, size)
    if ranks == 1:
        return Parts(*in_turns([together, alone.compute, alone.optimizer.step], rounds))
    channels = [
        module.num_features for module in method.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    embeddings = torch.zeros(batch // ranks, width)
    gradients = torch.zeros(sum(parameter.numel() for parameter in method.parameters()))
    whole, computation, optimizer, with_norm, norm, gather, summed = in_turns(
        [
            together,
            talking_to_nobody(alone.compute, ranks, distributed, batch_norm),
            alone.optimizer.step,
            talking_to_nobody(alone.compute, ranks, distributed),
            lambda: batch_norm_collectives(channels, ranks),
            lambda: gather_rows(torch.cat((embeddings, embeddings)), ranks),
            lambda: dist.all_reduce(gradients),
        ],
        rounds,
    )
    return Parts(whole, computation, optimizer, with_norm - computation, norm, gather, summed)


class Stepper:
    """Forward of two views, loss, backward and LARS on random images."""

    def __init__(self, network: nn.Module, images: int, size: int) -> None:
        self.network = network
        self.optimizer = LARS(network.parameters(), lr=1e-3)
        self.views = [torch.randn(images, 3, size, size) for _ in range(2)]

    def __call__(self) -> None:
        """Take the step."""
        self.compute()
        self.optimizer.step()

    def compute(self) -> None:
        """The step without the optimizer."""
        self.optimizer.zero_grad(set_to_none=True)
        self.network(*self.views).terms["loss"].backward()


def batch_norm_collectives(channels: Sequence[int], ranks: int) -> None:
    """What batch norm sends for two views: mean, variance and count forward, two sums backward."""
    for count in (*channels, *channels):
        gather_rows(torch.zeros(2 * count + 1), ranks)
    for count in (*channels, *channels):
        dist.all_reduce(torch.zeros(2, count))


def gather_rows(own: torch.Tensor, ranks: int) -> None:
    """Every rank's `own` on every rank."""
    dist.all_gather([torch.empty_like(own) for _ in range(ranks)], own)


def talking_to_nobody(work: Callable[[], object], ranks: int, *modules: object) -> Callable[[], object]:
    """`work`, in which `modules` take this rank's numbers for the others': the same arithmetic without a wait."""

    def gather(received: list[torch.Tensor], own: torch.Tensor) -> None:
        for one in received:
            one.copy_(own)

    silent = SimpleNamespace(
        all_gather=gather, all_reduce=lambda tensor: None, is_initialized=lambda: True, get_world_size=lambda: ranks
    )

    def run() -> object:
        before = [patch.object(module, "dist", silent) for module in modules]
        for one in before:
            one.start()
        try:
            return work()
        finally:
            for one in before:
                one.stop()

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
