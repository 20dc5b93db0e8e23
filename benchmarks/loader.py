"""The whole way from files to a batch of both views in this process, through a DataLoader with two workers."""

import dataclasses
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks import textbook
from benchmarks.harness import Outcome, times_faster
from benchmarks.photographs import write_photographs
from pretrain.loader import StepSampler, TwoViews, batches
from pretrain.recipes import paper

BATCH_SIZE = 64
WORKERS = 2
FILES = 256


def end_to_end() -> Outcome:
    """Seconds per image between the first batch and the last, ours uint8 and the baseline's float, in turns."""
    return measure(our_batches=24, baseline_batches=8, rounds=3)


def measure(*, our_batches: int, baseline_batches: int, rounds: int, batch_size: int = BATCH_SIZE) -> Outcome:
    """Each side gets enough batches for some seconds; both read the same files, again and again."""
    with tempfile.TemporaryDirectory(prefix="photographs-") as folder:
        files = write_photographs(Path(folder), FILES)
        ours, baseline = [], []
        for _ in range(rounds):
            ours.append([seconds_per_image(_ours(repeated(files, our_batches * batch_size), batch_size), batch_size)])
            theirs = textbook.loader(
                repeated(files, baseline_batches * batch_size), batch_size=batch_size, workers=WORKERS
            )
            baseline.append([seconds_per_image(theirs, batch_size)])
    rates = {
        f"{name}_images_per_second": round(1 / min(min(samples) for samples in side), 1)
        for name, side in (("ours", ours), ("baseline", baseline))
    }
    return times_faster(ours, baseline, batch_size=batch_size, workers=WORKERS, best=rates)


def seconds_per_image(loader: Iterable[object], batch_size: int) -> float:
    """Start-up of the workers not counted: the clock runs from the first batch to the last."""
    arrived = [time.perf_counter() for _ in loader]
    assert len(arrived) > 1
    return (arrived[-1] - arrived[0]) / ((len(arrived) - 1) * batch_size)


def repeated(files: list[Path], count: int) -> list[Path]:
    """`count` paths, going round the files."""
    return [files[index % len(files)] for index in range(count)]


def _ours(paths: list[Path], batch_size: int) -> Iterable[object]:
    recipe = dataclasses.replace(paper(), global_batch_size=batch_size, epochs=1, warmup_epochs=0)
    dataset = TwoViews(paths, recipe, seed=0, fast=True)
    return batches(dataset, StepSampler(recipe, len(paths), seed=0), workers=WORKERS, pin=False)
