"""Everything that knows of several ranks: start-up, sums and gathers with exact gradients, synchronised batch norm.

Convention for gradients: a term of the loss has the same, global value on every rank, and its gradient on a rank is
the true gradient of that global value with respect to the rank's own rows. `scaled_for_averaging` multiplies it by the
number of ranks once, at the sum of the terms, because DistributedDataParallel averages parameter gradients over ranks
where the global loss needs their sum.
"""

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.nn.parallel import DistributedDataParallel

from pretrain import meeting
from pretrain.roll_call import RollCall
from results.lifeline import end_with
from results.refusal import Refusal


@dataclass(frozen=True)
class World:
    """This process among all ranks, and the device it computes on."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this rank writes files and talks to the user."""
        return self.rank == 0


@contextmanager
def joined_world(device: str, *, timeout_minutes: float = 30.0) -> Iterator[World]:
    """Join the ranks that torchrun (or submitit) announced in the environment, or be alone; leave at the end.

    `device` is "auto", "cpu" or "cuda". NCCL on GPUs, gloo on CPUs; host-side agreement always goes through gloo. A
    rank that keeps the others waiting for `timeout_minutes` is taken for lost.

    Raises:
        Refusal: CUDA was asked for and there is none, this node has fewer GPUs than local ranks, or the port at which
            the ranks should meet is taken.
        Failure: a rank was lost, or this one ran out of memory.
    """
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    chosen = _device(device)
    roll_call = None
    if size > 1:
        if dist.is_torchelastic_launched():
            end_with(os.getppid())  # ranks of a torchrun that is killed would go on without it
        store = meeting.met(rank, size, timeout_minutes)
        # Both backends in one group: CPU tensors (agreement, checkpoints) never wait for the GPU.
        backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
        limit = timedelta(minutes=timeout_minutes)
        group = PrefixStore("collectives", store)
        dist.init_process_group(backend, store=group, rank=rank, world_size=size, timeout=limit)
        roll_call = RollCall(PrefixStore("roll call", store), rank, size)
    try:
        with meeting.explained(roll_call, rank):
            yield World(rank, size, chosen)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if local_rank >= torch.cuda.device_count():
        raise Refusal(
            f"run.device is {name} and local rank {local_rank} needs its own GPU, but this node shows "
            f"{torch.cuda.device_count()}; start fewer processes per node or choose --run.device cpu"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def world_size() -> int:
    """Number of ranks; 1 without a process group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of `value` over ranks, equal on all of them; its gradient reaches this rank's own `value` unchanged."""
    return value if world_size() == 1 else _SumOverRanks.apply(value)


def gather_rows(own: Tensor, counts: list[int]) -> Tensor:
    """All ranks' rows of `own` (n_r, d), in rank order, without gradient; `counts` are the ranks' numbers of rows."""
    if world_size() == 1:
        return own.detach()
    padded = torch.zeros(max(counts), *own.shape[1:], dtype=own.dtype, device=own.device)
    padded[: len(own)] = own.detach()
    received = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(received, padded)
    return torch.cat([rows[:count] for rows, count in zip(received, counts, strict=True)])  # (n, d)


def row_counts(own: Tensor) -> list[int]:
    """How many rows each rank holds. Travels over the CPU backend, so the GPU queue is not drained for it."""
    if world_size() == 1:
        return [len(own)]
    counts = [torch.zeros(1, dtype=torch.int64) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([len(own)]))
    return [int(count) for count in counts]


def scaled_for_averaging(loss: Tensor) -> Tensor:
    """`loss` itself; its gradient times the number of ranks. See the convention above."""
    return loss if world_size() == 1 else _ScaleGradient.apply(loss)


def agree_on_maximum(value: int) -> int:
    """The largest `value` any rank has."""
    if world_size() == 1:
        return value
    box = torch.tensor([value])
    dist.all_reduce(box, dist.ReduceOp.MAX)
    return int(box)


def gather_objects(value: Any) -> list[Any]:
    """Every rank's `value` (picklable), in rank order, on every rank."""
    if world_size() == 1:
        return [value]
    received: list[Any] = [None] * world_size()
    dist.all_gather_object(received, value)
    return received


def broadcast_object(value: Any) -> Any:
    """Rank 0's `value` (picklable), on every rank."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def parallel(module: nn.Module, world: World) -> nn.Module:
    """`module` with gradients averaged over ranks and batch norm synchronised; `module` itself on a single rank."""
    if world.size == 1:
        return module
    module = synchronised_batch_norm(module, world.device)
    devices = [world.device] if world.device.type == "cuda" else None
    # Synchronised statistics leave nothing to broadcast: the buffers are equal on all ranks.
    known = inspect.signature(DistributedDataParallel).parameters
    quiet = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # renamed in torch 2.15
    options: dict[str, Any] = {quiet: False, "device_ids": devices, "gradient_as_bucket_view": True}
    return DistributedDataParallel(module, **options)


def synchronised_batch_norm(module: nn.Module, device: torch.device) -> nn.Module:
    """`module` with every batch norm computing its statistics over all ranks; parameter names stay."""
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return converted
    from pretrain.batch_norm import GlooBatchNorm

    return GlooBatchNorm.convert(module)


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Tensor) -> Tensor:
        return loss.view_as(loss)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * world_size()
