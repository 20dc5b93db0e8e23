"""What fits on one GPU: the paper's whole batch with activations recomputed, and the largest batch without."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.gpu import Setting, our_step_seconds, step_against_textbook
from benchmarks.harness import Outcome

GIB = 2**30
LARGER_BATCHES = (1536, 1024, 768, 512)


def largest_batch() -> Outcome:
    """Peak memory in GiB of a step at the paper's batch of 2048 on one GPU, activations recomputed.

    Beside it the images/s there and at batch 256 with and without recomputing, and both sides at the largest batch
    that neither needs to recompute for.
    """
    found = memory(Setting(batch=2048, steps=2, recompute=True), Setting(recompute=True), Setting())
    return dataclasses.replace(found, details=found.details | at_the_largest_that_fits(Setting(), LARGER_BATCHES))


def memory(setting: Setting, *others: Setting) -> Outcome:
    """Peak GiB of our step at `setting`, and the speed of all."""
    torch.cuda.reset_peak_memory_stats()
    large = our_step_seconds(setting)
    peak = torch.cuda.max_memory_allocated() / GIB
    speeds = {_called(setting): setting.batch / large}
    speeds |= {_called(other): other.batch / our_step_seconds(other) for other in others}
    return Outcome(peak, peak, peak, "", "", {"images_per_second": speeds})


def at_the_largest_that_fits(setting: Setting, batches: Sequence[int]) -> dict[str, Any]:
    """The first of `batches`, largest first, whose step fits into memory on both sides, and how it compares there."""
    for batch in batches:
        try:
            found = step_against_textbook(dataclasses.replace(setting, batch=batch, steps=2))
        except torch.OutOfMemoryError:
            continue
        finally:
            torch.cuda.empty_cache()
        return {"largest_batch_that_fits_both": batch, "times_faster_there": found.value}
    return {"largest_batch_that_fits_both": setting.batch}


def _called(setting: Setting) -> str:
    return f"batch {setting.batch}" + ", activations recomputed" * setting.recompute
