"""How ranks find each other, and what is said when they cannot, when one is lost, or when memory runs out."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from pretrain.roll_call import RollCall, first_line
from results.refusal import Failure, Refusal

MOST_WORDS = 300
ALLOCATOR = ("can't allocate memory", "not enough memory", "CUDA out of memory")
"""How torch's allocators for CPUs and GPUs say it where they have no error type of their own."""


def met(rank: int, size: int, timeout_minutes: float) -> Store:
    """The store of all `size` ranks, once they are all there.

    Raises:
        Refusal: the port is taken, or no rank 0 answers there.
        Failure: some rank did not come in time.
    """
    place = f"{os.environ.get('MASTER_ADDR', '?')}:{os.environ.get('MASTER_PORT', '?')}"
    limit = timedelta(minutes=timeout_minutes)
    found: list[Store] = []
    errors: list[Exception] = []

    def meet() -> None:
        try:
            found.append(next(rendezvous("env://", rank, size, timeout=limit))[0])
        except (RuntimeError, ValueError) as error:
            errors.append(error)

    # In a thread, because torch waits without end for a stranger at that port to answer.
    thread = threading.Thread(target=meet, daemon=True)
    thread.start()
    thread.join(1.5 * limit.total_seconds())
    if found:
        return found[0]
    text = first_line(errors[0]) if errors else "no answer"
    if "EADDRINUSE" in text:
        raise Refusal(
            f"port {place.rpartition(':')[2]}, at which the ranks should meet, is in use; set MASTER_PORT (torchrun: "
            "--master-port) to a free one"
        )
    raise Failure(f"{size} ranks should meet at {place} and did not within {timeout_minutes:g} minutes: {text}")


@contextmanager
def explained(roll_call: RollCall | None, rank: int) -> Iterator[None]:
    """Tell the other ranks why this one ends, and say in one line what a lost rank or full memory did to it.

    Raises:
        Failure: a rank was lost (on one of the others; they leave without a word), or this one ran out of memory.
    """
    try:
        yield
    except SystemExit:
        _leave(roll_call)
        raise
    except BaseException as error:
        if roll_call is not None and _is_collective(error):
            raise roll_call.lost(error) from None
        short = _short_of_memory(error, rank)
        if roll_call is not None:
            roll_call.fail((str(short) if short else first_line(error))[:MOST_WORDS])
        if short is not None:
            raise short from error
        raise
    _leave(roll_call)


def _leave(roll_call: RollCall | None) -> None:
    if roll_call is not None:
        roll_call.leave()


def _is_collective(error: BaseException) -> bool:
    # gloo has no error type of its own; its messages begin with the source file.
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))


def _short_of_memory(error: BaseException, rank: int) -> Failure | None:
    full = isinstance(error, MemoryError | torch.OutOfMemoryError)
    if not full and not (isinstance(error, RuntimeError) and any(words in str(error) for words in ALLOCATOR)):
        return None
    return Failure(f"rank {rank} ran out of memory ({first_line(error)[:MOST_WORDS]}); fewer images a rank need less")
