"""The whole training step at full size, where there is a GPU: this suite's own loop against the textbook's.

Every function takes a `Setting`, so that its path is tested at toy size without a GPU.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks import textbook
from benchmarks.harness import Outcome, in_turns, seconds, times_faster, wall_seconds
from benchmarks.photographs import write_photographs
from data.listing import ImageList
from pretrain.distributed import World
from pretrain.loader import Batch
from pretrain.loop import Training
from pretrain.recipes import paper
from pretrain.run import Run
from pretrain.views.device import ColourBatch, augment
from pretrain.views.parameters import COLUMNS, as_row, draw, generator


@dataclass(frozen=True)
class Setting:
    """What is trained, on what. The default is the real thing."""

    batch: int = 256
    size: int = 224
    width: int = 8192
    device: str = "cuda"
    compile: bool = False
    recompute: bool = False
    workers: int = 16
    files: int = 1024
    rounds: int = 5
    steps: int = 10
    """Steps of one sample: the queue of a GPU is only emptied at its ends."""

    @property
    def on(self) -> torch.device:
        """The device as torch wants it."""
        return torch.device(self.device)


def synthetic() -> Outcome:
    """Batches that lie in pinned memory: uint8 crops for ours (whose augmentation is part of its step), floats for
    the baseline; eager and compiled are both timed, the default counts."""
    found = step_against_textbook(Setting())
    compiled = our_step_seconds(Setting(compile=True))
    details = found.details | {"ours_compiled_seconds": compiled, "profile": hottest(Setting())}
    return dataclasses.replace(found, details=details)


def step_against_textbook(setting: Setting) -> Outcome:
    """Seconds of whole steps on synthetic batches, in turns."""
    with our_training(setting) as training:
        batch = synthetic_batch(setting)
        theirs = textbook.Trainer(setting.on, setting.width)
        views = [_pinned(torch.randn(setting.batch, 3, setting.size, setting.size)) for _ in range(2)]
        ours, baseline = in_turns(
            _steps(lambda: training.take_step(batch), setting),
            _steps(lambda: theirs.step(views[0], views[1]), setting), rounds=setting.rounds, clock=wall_seconds,
        )  # fmt: skip
    return times_faster(ours, baseline, **_about(setting, ours))


def our_step_seconds(setting: Setting) -> float:
    """Mean seconds of our step on a synthetic batch, after a sample to warm up (and compile)."""
    with our_training(setting) as training:
        batch = synthetic_batch(setting)
        sample = _steps(lambda: training.take_step(batch), setting)
        sample()
        start = time.perf_counter()
        sample()
        return (time.perf_counter() - start) / setting.steps


def jpegs() -> Outcome:
    """The same from files: each side's own loader with as many workers."""
    return jpegs_against_textbook(Setting())


def jpegs_against_textbook(setting: Setting) -> Outcome:
    """Seconds of whole steps fed by the loaders, in turns."""
    with photographs(setting) as paths, our_training(setting, paths) as training:
        batches = training._remaining_batches()
        theirs = textbook.Trainer(setting.on, setting.width)
        loader = textbook.loader(paths, batch_size=setting.batch, workers=setting.workers)
        views = _endless(loader)
        ours, baseline = in_turns(
            _steps(lambda: training.take_step(next(batches)), setting),
            _steps(lambda: theirs.step(*next(views)), setting), rounds=setting.rounds, clock=wall_seconds,
        )  # fmt: skip
    return times_faster(ours, baseline, **_about(setting, ours))


def images_per_second() -> Outcome:
    """Source images per second of our training from JPEG files, two views each."""
    return from_files(Setting(), "images_per_second")


def data_wait() -> Outcome:
    """Share of our training from JPEG files that waits for the loader."""
    return from_files(Setting(), "data_wait_share")


def from_files(setting: Setting, number: str) -> Outcome:
    """One of the meter's numbers over samples of our own loop."""
    with photographs(setting) as paths, our_training(setting, paths) as training:
        batches = training._remaining_batches()
        samples = []
        for turn in range(setting.rounds + 1):
            for _ in range(setting.steps):
                training.take_step(next(batches))
            found = training.meter.read()
            if turn:
                samples.append(found[number])
    plain = seconds(samples)
    return dataclasses.replace(
        plain, ours="", details={"samples": samples, "batch": setting.batch, "cores": setting.workers}
    )


def augmentation() -> Outcome:
    """Share of a synthetic step spent in the device half of the views."""
    return augmentation_share(Setting())


def augmentation_share(setting: Setting) -> Outcome:
    """Seconds of both views' augmentation over those of the whole step."""
    with our_training(setting) as training:
        batch = synthetic_batch(setting)

        def views() -> None:
            for pixels, table in ((batch.pixels_a, batch.colours_a), (batch.pixels_b, batch.colours_b)):
                moved = pixels.to(setting.on, non_blocking=True)
                augment(moved, ColourBatch(table), blur_kernel=training.recipe.view_a.blur_kernel)

        steps = _steps(lambda: training.take_step(batch), setting)
        part, whole = in_turns(_steps(views, setting), steps, rounds=setting.rounds, clock=wall_seconds)
    ratios = [mine[0] / theirs[0] for mine, theirs in zip(part, whole, strict=True)]
    return dataclasses.replace(seconds(ratios), ours="", details={"shares": ratios, "batch": setting.batch})


def hottest(setting: Setting, count: int = 12) -> dict[str, float]:
    """Where a step's time goes: the operations with the most device (or else processor) milliseconds."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (setting.device == "cuda")
    with our_training(setting) as training:
        batch = synthetic_batch(setting)
        training.take_step(batch)
        with profile(activities=activities) as trace:
            training.take_step(batch)
            _finish(setting)
    name = "self_device_time_total" if setting.device == "cuda" else "self_cpu_time_total"
    found = sorted(trace.key_averages(), key=lambda event: -getattr(event, name))
    return {event.key: round(getattr(event, name) / 1e3, 3) for event in found[:count]}


@contextmanager
def our_training(setting: Setting, paths: list[Path] | None = None) -> Iterator[Training]:
    """The suite's own training in memory: `paper` with the setting's sizes; it logs and saves nothing."""
    view = dataclasses.replace(paper().view_a, size=setting.size)
    recipe = dataclasses.replace(
        paper(), view_a=view, view_b=view, projector_width=setting.width, global_batch_size=setting.batch,
        last_batch="drop",
    )  # fmt: skip
    paths = paths or [Path("none.jpg")] * setting.batch
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        run = Run(
            output=Path(folder), workers=setting.workers, device="cuda" if setting.device == "cuda" else "cpu",
            compile=setting.compile, recompute_activations=setting.recompute, log_every_steps=10**9, tensorboard=False,
        )  # fmt: skip
        images = ImageList(paths, [0] * len(paths), ["all"])
        yield Training(recipe, run, images, Path(folder), {"recipe_hash": ""}, World(0, 1, setting.on))


def synthetic_batch(setting: Setting) -> Batch:
    """Random uint8 crops with drawn colour parameters, pinned if there is a GPU."""
    shape = (setting.batch, 3, setting.size, setting.size)
    view = dataclasses.replace(paper().view_a, size=setting.size)
    random = generator(0, 0, 0)
    pixels = [_pinned(torch.randint(0, 256, shape, dtype=torch.uint8)) for _ in range(2)]
    rows = [as_row(draw(view, 334, 500, random).colour) for _ in range(2 * setting.batch)]
    tables = np.array(rows).reshape(2, setting.batch, len(COLUMNS))
    return Batch(pixels[0], pixels[1], tables[0], tables[1])


@contextmanager
def photographs(setting: Setting) -> Iterator[list[Path]]:
    """JPEG files in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="photographs-") as folder:
        yield write_photographs(Path(folder), setting.files)


def _steps(step: Callable[[], object], setting: Setting) -> Callable[[], None]:
    def sample() -> None:
        for _ in range(setting.steps):
            step()
        _finish(setting)

    return sample


def _finish(setting: Setting) -> None:
    if setting.device == "cuda":
        torch.cuda.synchronize()


def _pinned(tensor: Tensor) -> Tensor:
    return tensor.pin_memory() if torch.cuda.is_available() else tensor


def _endless(loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in cycle((0,)):
        yield from loader


def _about(setting: Setting, ours: list[list[float]]) -> dict[str, Any]:
    best = min(min(samples) for samples in ours)
    return {"batch": setting.batch, "steps_per_sample": setting.steps,
            "best_images_per_second": round(setting.steps * setting.batch / best, 1)}  # fmt: skip
