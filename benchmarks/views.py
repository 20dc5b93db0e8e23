"""Two views from a JPEG: what one core does for each image."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import default_collate

from benchmarks import textbook
from benchmarks.harness import Outcome, compared
from benchmarks.photographs import write_photographs
from pretrain.loader import Batch, TwoViews
from pretrain.recipes import RECIPES
from pretrain.views.device import ColourBatch, augment

IMAGES = 64


def host_work() -> Outcome:
    """What has to happen on the host: ours decodes, crops, resizes and flips; the baseline also does all the rest."""
    return measure(host_views)


def everything() -> Outcome:
    """Normalised float views from both, without a GPU."""
    return measure(all_on_cpu)


def measure(ours: Callable[[TwoViews], object], *, images: int = IMAGES, rounds: int = 5) -> Outcome:
    """`ours` against the baseline with the paper's settings on the same files; the released settings as a detail."""
    with tempfile.TemporaryDirectory(prefix="photographs-") as folder:
        paths = write_photographs(Path(folder), images)
        results = {name: _against(ours, paths, name, rounds) for name in textbook.SETTINGS}
    found = results["paper"]
    details = found.details | rates(found, images) | {
        "with_official_settings": rates(results["official"], images) | {"times_faster": results["official"].value}
    }  # fmt: skip
    return Outcome(found.value, found.lowest, found.highest, found.ours, found.baseline, details)


def _against(ours: Callable[[TwoViews], object], paths: list[Path], settings: str, rounds: int) -> Outcome:
    mine = TwoViews(paths, RECIPES[settings], seed=0, fast=True)
    theirs = textbook.TwoViews(paths, settings)
    size = sum(path.stat().st_size for path in paths) / len(paths)
    return compared(
        lambda: ours(mine), lambda: default_collate([theirs[index] for index in range(len(paths))]),
        rounds=rounds if settings == "paper" else 2, images=len(paths), mean_jpeg_bytes=size,
    )  # fmt: skip


def host_views(dataset: TwoViews) -> Batch:
    """uint8 views and colour parameters of every image, as a loader's worker makes them."""
    return dataset.__getitems__([(0, index) for index in range(len(dataset))])


def all_on_cpu(dataset: TwoViews) -> list[Any]:
    """Both finished float views of every image, as a training on the CPU makes them."""
    batch = host_views(dataset)
    tables: tuple[np.ndarray[Any, Any], ...] = (batch.colours_a, batch.colours_b)
    return [
        augment(pixels, ColourBatch(table), blur_kernel=recipe.blur_kernel)
        for pixels, table, recipe in zip((batch.pixels_a, batch.pixels_b), tables, dataset.recipes, strict=True)
    ]


def rates(found: Outcome, images: int) -> dict[str, float]:
    """Source images per second, two views each."""
    sides = {"ours": found.details["ours"], "baseline": found.details["baseline"]}
    return {f"{name}_images_per_second": round(images / side["median"], 1) for name, side in sides.items()}
