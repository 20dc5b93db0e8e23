"""The protocols of Table 1 and Table 5 as frozen settings. Torch-free.

Each named instance is what its cells are measured with; `cards` tells where every number comes from. The demo instances
are the same settings with smaller numbers, fit for the digits corpus.
"""

import dataclasses
import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from results.refusal import Refusal
from results.settings import refuse_out_of_range, refuse_wrong_types

Interpolation = Literal["bilinear", "bicubic"]
LARGEST_SIDE = 16_384
"""Of a square image in pixels; nothing larger would fit a network on any machine."""


def refuse_numbers_out_of_range(settings: Any, **ranges: tuple[float, float]) -> None:
    """Each field of the protocol `settings` has its type; floats, also in tuples, are finite and within their `ranges`.

    Raises:
        Refusal: naming the first field that does not, its value and what is expected.
    """
    refuse_wrong_types(settings, "protocol")
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        numbers = [x for x in (value if isinstance(value, tuple) else (value,)) if isinstance(x, int | float)]
        least, most = ranges.get(one.name, (-math.inf, math.inf))
        if not all(math.isfinite(number) and least <= number <= most for number in numbers):
            expected = "a finite number" if one.name not in ranges else f"at least {least:g}"
            expected += f" and at most {most:g}" if math.isfinite(most) else ""
            raise Refusal(f"protocol.{one.name} is {value}, expected {expected}")


LARGEST_MOMENTUM = 0.999_999
"""At 1 no step is ever forgotten."""


@dataclass(frozen=True)
class CenterView:
    """The one view of an image at test time: short side to `resize` pixels, then the central `crop` x `crop`."""

    resize: int = 256
    crop: int = 224
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        """Refuse a crop that does not fit."""
        refuse_wrong_types(self, "test_view")
        refuse_out_of_range(self, "test_view", resize=(1, LARGEST_SIDE))
        if not 0 < self.crop <= self.resize:
            raise Refusal(f"test_view.crop is {self.crop}, expected 1 to test_view.resize ({self.resize})")


@dataclass(frozen=True)
class RandomView:
    """A training view: a random region of `scale_min` to `scale_max` of the area, resized, flipped half the time."""

    crop: int = 224
    scale_min: float = 0.08
    scale_max: float = 1.0
    flip_probability: float = 0.5
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        """Refuse an area that is not a share."""
        refuse_wrong_types(self, "train_view")
        refuse_out_of_range(self, "train_view", crop=(1, LARGEST_SIDE))
        if not 0.0 < self.scale_min <= self.scale_max <= 1.0:
            raise Refusal(
                f"train_view scale is {self.scale_min} to {self.scale_max}, expected 0 < scale_min <= scale_max <= 1"
            )
        if not 0.0 <= self.flip_probability <= 1.0:
            raise Refusal(f"train_view.flip_probability is {self.flip_probability}, expected 0 to 1")


@dataclass(frozen=True)
class Probe:
    """A linear classifier trained on labelled images, on a frozen or on a fine-tuned trunk (Table 1).

    Attributes:
        task: the column of Table 1; it fixes the cells and the list of training images.
        trunk_learning_rate: 0 freezes the trunk and keeps it in evaluation mode throughout.
        head_learning_rates: one head is trained for each in the same pass; the first one's number is the cell's.
        weight_decay: on every trained tensor, the head's bias included (as the released code does).
        statistics_batch_size: images that share one set of batch statistics while the trunk is fine-tuned. 32 is what
            8 ranks of 32 give without synchronisation; it is kept whatever the number of ranks, so the number is too.
        reported: which epoch's number is the cell's; the other one is recorded beside it.
    """

    task: Literal["linear", "semi_1pct", "semi_10pct"] = "linear"
    epochs: int = 100
    global_batch_size: int = 256
    head_learning_rates: tuple[float, ...] = (0.02,)
    trunk_learning_rate: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 1e-6
    head_initial_std: float = 0.01
    statistics_batch_size: int = 32
    reported: Literal["final", "best"] = "final"
    train_view: RandomView = field(default_factory=RandomView)
    test_view: CenterView = field(default_factory=CenterView)

    def __post_init__(self) -> None:
        """Refuse impossible numbers and combinations, naming the field and the remedy."""
        refuse_numbers_out_of_range(
            self, momentum=(0.0, LARGEST_MOMENTUM), weight_decay=(0.0, math.inf), head_initial_std=(0.0, math.inf)
        )
        for name in ("epochs", "global_batch_size", "statistics_batch_size"):
            if getattr(self, name) < 1:
                raise Refusal(f"protocol.{name} is {getattr(self, name)}, expected at least 1")
        if not self.head_learning_rates or min(self.head_learning_rates) <= 0 or self.trunk_learning_rate < 0:
            raise Refusal(
                "protocol.head_learning_rates needs at least one rate, all positive; the trunk's is 0 or more"
            )
        if self.fine_tunes and len(self.head_learning_rates) > 1:
            raise Refusal(
                "protocol.head_learning_rates: several heads would pull one fine-tuned trunk; give one rate, "
                "or freeze the trunk with protocol.trunk_learning_rate 0"
            )
        if self.fine_tunes and self.statistics_batch_size < 2:
            raise Refusal("protocol.statistics_batch_size is 1; batch statistics need at least 2 images")

    @property
    def fine_tunes(self) -> bool:
        """Whether the trunk is trained too."""
        return self.trunk_learning_rate > 0

    @property
    def dataset(self) -> str:
        """The data room's name of the training list."""
        return {"linear": "imagenet", "semi_1pct": "imagenet_1pct", "semi_10pct": "imagenet_10pct"}[self.task]

    @property
    def cells(self) -> tuple[str, ...]:
        """The paper's cells this protocol measures."""
        return (f"table1/{self.task}/top1", f"table1/{self.task}/top5")

    def steps_per_epoch(self, train_images: int) -> int:
        """Optimiser steps in an epoch; the last, smaller batch is used too."""
        return math.ceil(train_images / self.global_batch_size)

    def learning_rate_factor(self, epoch: int) -> float:
        """The cosine factor on every rate during `epoch` (counted from 0): 1 in the first, near 0 in the last."""
        return (1.0 + math.cos(math.pi * epoch / self.epochs)) / 2.0


CELL_NEIGHBOURS = (20, 200)
SMALLEST_TEMPERATURE = 0.002
"""exp(1 / 0.002) = 1e217 still leaves room in float64 for a sum over every neighbour."""


@dataclass(frozen=True)
class Knn:
    """Weighted k-nearest-neighbour vote over all training images (Table 5).

    Attributes:
        neighbours: every K voted with, from one search; 20 and 200 are the paper's cells, others go to the details.
        temperature: of the cells' vote, weights exp(cosine / temperature).
        other_temperatures: voted with as well, for the details; so is the unweighted majority.
    """

    neighbours: tuple[int, ...] = CELL_NEIGHBOURS
    temperature: float = 0.07
    other_temperatures: tuple[float, ...] = (0.1,)
    test_view: CenterView = field(default_factory=CenterView)

    def __post_init__(self) -> None:
        """Refuse a vote that measures no cell, or whose exponentials overflow."""
        sharpest = (SMALLEST_TEMPERATURE, math.inf)
        refuse_numbers_out_of_range(self, temperature=sharpest, other_temperatures=sharpest)
        if not set(self.neighbours) & set(CELL_NEIGHBOURS) or min(self.neighbours) < 1:
            raise Refusal(
                f"protocol.neighbours is {self.neighbours}, expected positive numbers with 20 or 200 among them"
            )

    @property
    def dataset(self) -> str:
        """The data room's name of the bank and its queries."""
        return "imagenet"

    @property
    def cells(self) -> tuple[str, ...]:
        """The paper's cells this protocol measures."""
        return tuple(f"table5/knn_{k}/top1" for k in CELL_NEIGHBOURS if k in self.neighbours)


Protocol = Probe | Knn

LINEAR = Probe()
"""Table 1, linear: 73.2 top-1, 91.1 top-5 for VICReg after 1000 epochs.

    python -m evaluate linear --run.checkpoint vicreg-resnet50 --run.data IMAGENET
"""

SEMI_1PCT = replace(
    LINEAR, task="semi_1pct", epochs=20, head_learning_rates=(0.08,), trunk_learning_rate=0.03, weight_decay=0.0
)
"""Table 1, 1 % of the labels: 54.8 top-1, 79.4 top-5 for VICReg; 12,811 images, 51 steps an epoch."""

SEMI_10PCT = replace(SEMI_1PCT, task="semi_10pct", head_learning_rates=(0.1,), trunk_learning_rate=0.01)
"""Table 1, 10 % of the labels: 69.5 top-1, 89.5 top-5 for VICReg; 128,116 images, 501 steps an epoch."""

KNN = Knn()
"""Table 5: 64.5 (20-NN) and 62.8 (200-NN) top-1 for VICReg."""

PAPER_CROP = RandomView(scale_min=0.2)
"""Appendix B.3's area of 0.2 to 1.0; the released code crops from 0.08 (see the card)."""

SMALL_TRAIN_VIEW = RandomView(crop=32, scale_min=0.7, flip_probability=0.0)
SMALL_TEST_VIEW = CenterView(resize=32, crop=32)
LINEAR_DEMO = replace(LINEAR, epochs=12, global_batch_size=64, train_view=SMALL_TRAIN_VIEW, test_view=SMALL_TEST_VIEW)


def _fine_tuned_demo(protocol: Probe, epochs: int, global_batch_size: int) -> Probe:
    """`protocol` for the digits, both its rates scaled with the batch (Goyal et al., 2017).

    At higher rates so small a batch first forgets what the trunk knew and ends anywhere: 1 and 2 ranks, equal but for
    rounding, were 10 and 18 points apart; at these they agree to the last of 360 images.
    """
    share = global_batch_size / protocol.global_batch_size
    return replace(
        protocol,
        epochs=epochs,
        global_batch_size=global_batch_size,
        statistics_batch_size=min(global_batch_size, 16),
        head_learning_rates=tuple(rate * share for rate in protocol.head_learning_rates),
        trunk_learning_rate=protocol.trunk_learning_rate * share,
        train_view=SMALL_TRAIN_VIEW,
        test_view=SMALL_TEST_VIEW,
    )


SEMI_1PCT_DEMO = _fine_tuned_demo(SEMI_1PCT, epochs=20, global_batch_size=8)
SEMI_10PCT_DEMO = _fine_tuned_demo(SEMI_10PCT, epochs=10, global_batch_size=32)
KNN_DEMO = replace(KNN, test_view=SMALL_TEST_VIEW)

PROTOCOLS: dict[str, Protocol] = {
    "linear": LINEAR,
    "linear-paper-crop": replace(LINEAR, train_view=PAPER_CROP),
    "linear-demo": LINEAR_DEMO,
    "semi-1pct": SEMI_1PCT,
    "semi-1pct-paper-crop": replace(SEMI_1PCT, train_view=PAPER_CROP),
    "semi-1pct-demo": SEMI_1PCT_DEMO,
    "semi-10pct": SEMI_10PCT,
    "semi-10pct-paper-crop": replace(SEMI_10PCT, train_view=PAPER_CROP),
    "semi-10pct-demo": SEMI_10PCT_DEMO,
    "knn": KNN,
    "knn-demo": KNN_DEMO,
}
