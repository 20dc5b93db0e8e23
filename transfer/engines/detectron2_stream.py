"""Detectron2's training images in Detectron2's own order and groups, so that a resumed run goes on where it was.

Detectron2 saves model, optimizer and schedule, but neither where its data stream was nor its random numbers. Here both
follow from the seed, the rank and a position alone: batch number 700 and what is drawn in step 700 are the same whether
the run began at 0 or at 699, and for any number of loader workers.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from transfer.engines import detectron2_compat

detectron2_compat.prepare()

from detectron2.data import DatasetMapper, get_detection_dataset_dicts  # noqa: E402  (only after prepare)
from detectron2.data.build import trivial_batch_collator  # noqa: E402
from detectron2.data.common import DatasetFromList  # noqa: E402
from detectron2.data.samplers import TrainingSampler  # noqa: E402
from detectron2.engine import HookBase  # noqa: E402
from detectron2.utils import comm  # noqa: E402

Key = tuple[int, int]
"""Position in this rank's stream, and index of the image there."""


class Batches(Sampler[list[Key]]):
    """This rank's batches, without end: images of one orientation together, as Detectron2's grouping fills them.

    `indices` is the rank's stream of image indices, the same at every iteration over it; `is_wide` says of each image
    whether it is wider than high. `first` batches are left out.
    """

    def __init__(self, indices: Callable[[], Iterator[int]], is_wide: Sequence[bool], size: int) -> None:
        self.indices, self.is_wide, self.size = indices, is_wide, size
        self.first = 0

    def __iter__(self) -> Iterator[list[Key]]:
        return itertools.islice(self._from_the_start(), self.first, None)

    def _from_the_start(self) -> Iterator[list[Key]]:
        waiting: tuple[list[Key], list[Key]] = ([], [])
        for key in enumerate(self.indices()):
            group = waiting[self.is_wide[key[1]]]
            group.append(key)
            if len(group) == self.size:
                yield group[:]
                group.clear()


class Images(Dataset[dict[str, Any]]):
    """The mapped image for a key; crops, sizes and flips are drawn anew for each position."""

    def __init__(self, items: Any, mapper: Callable[[dict[str, Any]], dict[str, Any]], seed: int, rank: int) -> None:
        self.items, self.mapper = items, mapper
        self.seed, self.rank = seed, rank

    def __getitem__(self, key: Key) -> dict[str, Any]:
        position, index = key
        # What Detectron2's augmentations draw from.
        np.random.seed([self.seed, self.rank, position])
        return self.mapper(self.items[index])


class Reseeded(HookBase):  # type: ignore[misc]
    """Before every step, the random numbers of that step: the regions that the losses are computed on."""

    def __init__(self, seed: int, rank: int) -> None:
        self.seed, self.rank = seed, rank

    def before_step(self) -> None:
        """Seed torch, on the CPU and on every GPU."""
        entropy = np.random.SeedSequence([self.seed, self.rank, self.trainer.iter])
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0]))


def train_loader(config: Any) -> DataLoader[Any]:
    """This rank's share of `config`'s training batches; its `batch_sampler.first` is where to begin."""
    listed = get_detection_dataset_dicts(config.DATASETS.TRAIN, config.DATALOADER.FILTER_EMPTY_ANNOTATIONS)
    indices = TrainingSampler(len(listed), seed=config.SEED)
    batches = Batches(
        indices.__iter__,
        [one["width"] > one["height"] for one in listed],
        config.SOLVER.IMS_PER_BATCH // comm.get_world_size(),
    )
    images = Images(DatasetFromList(listed, copy=False), DatasetMapper(config, True), config.SEED, comm.get_rank())
    # With a generator of its own: a loader's start, which each session has one of, draws a number for its workers.
    return DataLoader(
        images,
        batch_sampler=batches,
        num_workers=config.DATALOADER.NUM_WORKERS,
        collate_fn=trivial_batch_collator,
        generator=torch.Generator(),
    )
