"""Training images that cannot be read: skipped, counted and named, up to a limit; one more ends the run.

The place of a skipped image is taken by the next readable one in the list, with views of its own, so that every batch
keeps its size and stays a function of seed and step. No label is involved, so nothing else changes. Evaluations never
skip: without a test image a number would be another number.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from data.decode import ImageError
from pretrain.distributed import gather_objects, world_size


class Skip(NamedTuple):
    """One image that could not be read: its position in the list of images, and why."""

    position: int
    reason: str


class Skipped:
    """The distinct images that a run has skipped so far, on all ranks as far as they have told each other."""

    def __init__(self, share: float, image_count: int) -> None:
        """At most `share` of `image_count` images, rounded down, may be skipped."""
        self.share, self.image_count = share, image_count
        self.limit = int(share * image_count)
        self.reasons: dict[int, str] = {}

    def meet(self, skips: Iterable[Skip], note: Callable[..., None], *, agree: bool) -> None:
        """Take note of what one batch skipped; what is new is named on stderr and in the log, by `note`.

        With `agree`, which must be alike on all ranks, see `agree`.
        """
        for position, reason in skips:
            if position in self.reasons:
                continue
            self.reasons[position] = reason
            count = len(self.reasons)
            said = f"another image takes its place ({count} of at most {self.limit} unreadable images)"
            print(f"warning: {reason}; {said}", file=sys.stderr)
            note("unreadable", image=reason, count=count)
        if agree or world_size() == 1:
            self.agree()

    def agree(self) -> None:
        """Collective: every rank learns of all skips, and all of them stop when there are too many.

        Raises:
            Refusal: more images than the limit could not be read; the message names the first.
        """
        for reasons in gather_objects(self.reasons):
            self.reasons.update(reasons)
        refuse_too_many(self.reasons, self.limit)

    def restore(self, reasons: Mapping[int, str]) -> None:
        """What an earlier session of the run had skipped."""
        self.reasons.update(reasons)


def refuse_too_many(reasons: Mapping[int, str], limit: int) -> None:
    """Raises ImageError when more than `limit` images could not be read."""
    if len(reasons) > limit:
        first = reasons[min(reasons)]
        if not limit:
            raise ImageError(first)
        raise ImageError(
            f"{len(reasons)} training images could not be read, and run.max_unreadable_share allows {limit}; "
            f"the first: {first}"
        )


def around(index: int, count: int) -> Iterable[int]:
    """`index` and the positions after it, around the end of a list of `count`."""
    return (position % count for position in range(index, index + count))
