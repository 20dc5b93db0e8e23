"""From image files to batches of two views, the same on any number of workers and after any resume.

Which images make step s, and how each is cropped and coloured, are functions of the seed, the step and the image's
position in the list alone. A resumed run asks for the steps from s on; nothing before them is read again.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from data.decode import ImageError, open_image
from pretrain.distributed import World
from pretrain.machine import worker_count
from pretrain.run import Run
from pretrain.settings import Recipe
from pretrain.unreadable import Skip, around, refuse_too_many
from pretrain.views import host, parameters, reference

ORDER = 2**32 - 1
"""Stands where an image's position would, for the random numbers of an epoch's order."""

Sample = tuple[int, int]
"""Epoch and position in the list of images."""


class Batch(NamedTuple):
    """This rank's share of one step: uint8 (n_r, 3, s, s) and colour table (n_r, 11) of each view."""

    pixels_a: Tensor
    pixels_b: Tensor
    colours_a: NDArray[np.float64]
    colours_b: NDArray[np.float64]
    skips: tuple[Skip, ...] = ()
    """Images that could not be read; another took the place of each."""


class StepSampler(Sampler[list[Sample]]):
    """The samples of this rank for each step from `first_step` to the end of the run."""

    def __init__(
        self, recipe: Recipe, image_count: int, seed: int, first_step: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        self.recipe, self.image_count, self.seed = recipe, image_count, seed
        self.rank, self.ranks = rank, ranks
        self.first_step = first_step
        self.steps_per_epoch = recipe.steps_per_epoch(image_count)

    def __len__(self) -> int:
        return self.recipe.epochs * self.steps_per_epoch - self.first_step

    def __iter__(self) -> Iterator[list[Sample]]:
        epoch, start = divmod(self.first_step, self.steps_per_epoch)
        for current in range(epoch, self.recipe.epochs):
            order = epoch_order(self.seed, current, self.image_count)
            for position in range(start, self.steps_per_epoch):
                yield [(current, int(index)) for index in self._share(order, position)]
            start = 0

    def _share(self, order: NDArray[np.int64], position: int) -> NDArray[np.int64]:
        size = self.recipe.global_batch_size
        # A short last batch is split as evenly as it goes; the loss weighs each rank by its rows.
        return np.array_split(order[position * size : (position + 1) * size], self.ranks)[self.rank]


def epoch_order(seed: int, epoch: int, image_count: int) -> NDArray[np.int64]:
    """The permutation in which an epoch visits the images."""
    return parameters.generator(seed, epoch, ORDER).permutation(image_count)


class TwoViews(Dataset[Batch]):
    """Turns a list of samples into a `Batch`, in whichever process it is asked."""

    def __init__(self, paths: list[Path], recipe: Recipe, *, seed: int, fast: bool, unreadable_limit: int = 0) -> None:
        # One array of bytes: a million Path objects would be copied into every worker, page by page.
        self.paths = np.array([str(path).encode() for path in paths])
        self.recipes = (recipe.view_a, recipe.view_b)
        self.seed, self.fast = seed, fast
        self.unreadable: dict[int, str] = {}
        self.unreadable_limit = unreadable_limit

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, samples: list[Sample]) -> Batch:
        size = self.recipes[0].size
        pixels = torch.empty(2, len(samples), 3, size, size, dtype=torch.uint8)
        tables = np.empty((2, len(samples), len(parameters.COLUMNS)))
        skips: list[Skip] = []
        for row, (epoch, index) in enumerate(samples):
            for view, (image, colour) in enumerate(self._views(epoch, index, skips)):
                pixels[view, row] = image
                tables[view, row] = parameters.as_row(colour)
        return Batch(pixels[0], pixels[1], tables[0], tables[1], tuple(skips))

    def _views(self, epoch: int, index: int, skips: list[Skip]) -> list[tuple[Tensor, parameters.Colour]]:
        """Both views of an image, or of the next that can be read.

        Raises:
            Refusal: this process alone has met more unreadable images than there may be.
        """
        make = self._fast if self.fast else self._reference
        for position in around(index, len(self.paths)):
            if position not in self.unreadable:
                # The views are drawn for the place, not for the image that fills it: no two places see the same.
                random = parameters.generator(self.seed, epoch, index)
                try:
                    return list(make(Path(self.paths[position].decode()), random))
                except ImageError as error:
                    self.unreadable[position] = str(error)
                    refuse_too_many(self.unreadable, self.unreadable_limit)
            skips.append(Skip(position, self.unreadable[position]))
        raise ImageError("no training image can be read; restore the data set")

    def _fast(self, path: Path, random: np.random.Generator) -> Iterator[tuple[Tensor, parameters.Colour]]:
        image = host.decode(path)
        for recipe in self.recipes:
            view = parameters.draw(recipe, image.shape[1], image.shape[2], random)
            cropped = host.crop_resize_flip(image, view, size=recipe.size, interpolation=recipe.interpolation)
            yield cropped, view.colour

    def _reference(self, path: Path, random: np.random.Generator) -> Iterator[tuple[Tensor, parameters.Colour]]:
        image = open_image(path)
        for recipe in self.recipes:
            view = parameters.draw(recipe, image.height, image.width, random)
            done = reference.apply(image, view, size=recipe.size, interpolation=recipe.interpolation)
            yield reference.to_tensor(done), parameters.NEUTRAL


def remaining_batches(
    paths: list[Path], recipe: Recipe, run: Run, world: World, step: int, unreadable_limit: int
) -> DataLoader[Batch]:
    """This rank's batches from `step` to the end of the run."""
    dataset = TwoViews(paths, recipe, seed=run.seed, fast=run.views == "fast", unreadable_limit=unreadable_limit)
    sampler = StepSampler(recipe, len(paths), run.seed, step, world.rank, world.size)
    return batches(dataset, sampler, workers=worker_count(run, world), pin=world.device.type == "cuda")


def batches(dataset: TwoViews, sampler: StepSampler, *, workers: int, pin: bool) -> DataLoader[Batch]:
    """One iterator over all remaining steps, so that workers run ahead across epochs."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_as_is,
        pin_memory=pin,
        # Its own generator: starting workers must not move the random state that a checkpoint holds.
        generator=torch.Generator().manual_seed(0),
        prefetch_factor=3 if workers else None,
    )


def _as_is(batch: Any) -> Any:
    # The data set builds whole batches itself.
    return batch
