"""What one of several gloo ranks has to compute for the loss, against one rank with the whole batch.

Counted in CPU seconds of a rank's process, gloo's threads included: on two cores four ranks cannot show the shorter
wall time, but each does its own share of the work, and that is what a cluster divides.
"""

import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import TypeVar

import torch
import torch.distributed as dist

from benchmarks import loss
from benchmarks.harness import Outcome, described, timing

RANKS = 4

T = TypeVar("T")


def work_per_rank() -> Outcome:
    """n = 2048, d = 8192: 512 rows on each of 4 ranks."""
    return measure(2048, loss.DIMENSIONS, ranks=RANKS, rounds=5)


def measure(count: int, dimensions: int, *, ranks: int, rounds: int) -> Outcome:
    """The busiest rank's CPU seconds over those of a single rank, forward and backward."""
    alone = on_ranks(loss_seconds, 1, count, dimensions, rounds)[0]
    shared = on_ranks(loss_seconds, ranks, count, dimensions, rounds)
    busiest = [max(of_round) for of_round in zip(*shared, strict=True)]
    ratios = [mine / theirs for mine, theirs in zip(busiest, alone, strict=True)]
    details = {"n": count, "d": dimensions, "ranks": ranks, "cpu_seconds_alone": alone, "cpu_seconds_by_rank": shared}
    sides = described(timing(busiest)), described(timing(alone))
    return Outcome(median(ratios), min(ratios), max(ratios), *sides, details)


def on_ranks(function: Callable[..., T], ranks: int, *arguments: object) -> list[T]:
    """`function(rank, ranks, *arguments)` in a gloo group of fresh processes; results in rank order."""
    port = free_port()
    with ProcessPoolExecutor(ranks, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(_joined, port, rank, ranks, function, arguments) for rank in range(ranks)]
        return [future.result() for future in futures]


def loss_seconds(rank: int, ranks: int, count: int, dimensions: int, rounds: int) -> list[float]:
    """CPU seconds of this process for each of `rounds` losses on its rows of the batch, after one to warm up."""
    z_a, z_b = (z.detach().chunk(ranks)[rank].clone().requires_grad_() for z in loss.embeddings(count, dimensions))
    work = loss.work(loss.suite_loss(), z_a, z_b)
    work()
    samples = []
    for _ in range(rounds):
        dist.barrier()
        start = time.process_time()
        work()
        samples.append(time.process_time() - start)
    return samples


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _joined(port: int, rank: int, ranks: int, function: Callable[..., T], arguments: tuple[object, ...]) -> T:
    torch.set_num_threads(1)
    # gloo would otherwise look the host's name up, which not every machine can answer.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=ranks)
    try:
        return function(rank, ranks, *arguments)
    finally:
        dist.destroy_process_group()
