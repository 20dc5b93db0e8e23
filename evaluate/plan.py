"""Which images each optimiser step sees, and which rank takes which of them: pure functions of the settings.

A step's images are cut into chunks. With a fine-tuned trunk a chunk shares one set of batch statistics, so the cut must
not depend on how many ranks there are; with a frozen trunk the chunks are simply the ranks' shares.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from evaluate.images import Draw, draw, epoch_order
from evaluate.protocols import Probe
from results.refusal import Refusal

Chunk = list[int]


@dataclass(frozen=True)
class Plan:
    """The order of `count` training images under `protocol`, for `ranks` ranks."""

    protocol: Probe
    count: int
    seed: int
    ranks: int

    def __post_init__(self) -> None:
        """Refuse a last batch whose statistics would be those of one image of one pixel."""
        lonely = self.count % self.protocol.global_batch_size == 1 or self.protocol.global_batch_size == 1
        if self.protocol.fine_tunes and lonely:
            raise Refusal(
                f"{self.count} images in batches of {self.protocol.global_batch_size} leave a batch of one image, "
                "which has no batch statistics; choose another protocol.global_batch_size"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch."""
        return self.protocol.steps_per_epoch(self.count)

    @property
    def total_steps(self) -> int:
        """Optimiser steps in all."""
        return self.protocol.epochs * self.steps_per_epoch

    def chunks(self, epoch: int) -> list[list[Chunk]]:
        """The chunks of every step of `epoch`, all ranks' together; rank r takes every ranks-th from the r-th on."""
        order = epoch_order(self.count, self.seed, epoch)
        size = self.protocol.global_batch_size
        return [self._cut(order[start : start + size]) for start in range(0, self.count, size)]

    def draws_from(self, step: int, rank: int) -> Iterator[list[Draw]]:
        """This rank's chunks from global `step` to the end of training, for a loader that works ahead."""
        for epoch in range(step // self.steps_per_epoch, self.protocol.epochs):
            steps = self.chunks(epoch)
            first = step % self.steps_per_epoch if epoch == step // self.steps_per_epoch else 0
            for chunks in steps[first:]:
                for chunk in chunks[rank :: self.ranks]:
                    yield [draw(index, self.seed, epoch) for index in chunk]

    def _cut(self, images: Chunk) -> list[Chunk]:
        if self.protocol.fine_tunes:
            return even_parts(images, -(-len(images) // self.protocol.statistics_batch_size))
        return [part for part in even_parts(images, self.ranks) if part]


def even_parts(images: Chunk, parts: int) -> list[Chunk]:
    """`images` in `parts` runs whose lengths differ by at most one."""
    edges = [len(images) * part // parts for part in range(parts + 1)]
    return [images[start:stop] for start, stop in pairwise(edges)]
