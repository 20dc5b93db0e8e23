"""Run by test_lost_ranks as each of several ranks: works together with the others until one of them is lost."""

import sys
import time

import torch
from torch import nn

from pretrain import distributed
from results.refusal import Refusal, run_command_line


def lose(what: str) -> None:
    """What becomes of the rank; killing and stopping come from outside."""
    if what == "hangs":
        time.sleep(600)
    if what == "MemoryError":
        raise MemoryError
    if what == "OutOfMemoryError":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    if what == "allocator":
        torch.empty(2**60, dtype=torch.uint8)
    if what == "Refusal":
        raise Refusal("the folder is in use")


def main() -> int:
    """lost_rank_worker.py WHAT RANK TIMEOUT_SECONDS, with torchrun's environment variables."""
    what, lost, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    torch.set_num_threads(1)
    with distributed.joined_world("cpu", timeout_minutes=timeout / 60) as world:
        network = distributed.parallel(nn.Sequential(nn.Linear(300, 300), nn.BatchNorm1d(300)), world)
        began = time.monotonic()
        while what != "nothing" or distributed.agree_on_maximum(int(time.monotonic() - began < 1)):
            network(torch.randn(4, 300)).sum().backward()
            distributed.agree_on_maximum(world.rank)
            if time.monotonic() - began > 0.5:
                print("working", flush=True)
            if world.rank == lost and time.monotonic() - began > 1.5:
                lose(what)
            time.sleep(0.02)
    return 0


if __name__ == "__main__":
    run_command_line(main)
