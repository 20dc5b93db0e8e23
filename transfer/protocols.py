"""The protocols of Table 2's three linear columns, as frozen dataclasses; where each setting comes from is in `cards`.

A protocol holds what the paper prescribes to use and nothing of this machine. The paper's text comes first; what it
leaves open follows VISSL's configuration for the same benchmark, which the author points to (vicreg issues 10 and 17).
A reading that the text does not bear out is a named variant, never a silent correction.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from evaluate.protocols import LARGEST_MOMENTUM, LARGEST_SIDE, refuse_numbers_out_of_range
from results.refusal import Refusal
from results.settings import refuse_wrong_types
from transfer.limits import refuse_foreign_cells


@dataclass(frozen=True)
class Head:
    """A batch norm and a linear layer on one pooled feature map of the frozen trunk.

    `layer` is VISSL's name of the map (conv1, res2 to res5; res5avg is the 2048-d global average). `kernel`, `stride`
    and `padding` are those of the average pool that brings the map to about 9,000 numbers; kernel 0 means none.
    """

    layer: Literal["conv1", "res2", "res3", "res4", "res5", "res5avg"]
    kernel: int = 0
    stride: int = 1
    padding: int = 0

    def __post_init__(self) -> None:
        """Raises Refusal on a pool that cannot be."""
        refuse_wrong_types(self, "head")
        if self.kernel < 0 or self.stride < 1 or self.padding < 0:
            raise Refusal(f"head {self.layer}: kernel {self.kernel}, stride {self.stride}, padding {self.padding}")

    @property
    def channels(self) -> int:
        """Channels of the map."""
        return {"conv1": 64, "res2": 256, "res3": 512, "res4": 1024, "res5": 2048, "res5avg": 2048}[self.layer]

    def feature_count(self, image_size: int) -> int:
        """How many numbers the head's linear layer reads for one image of `image_size` pixels.

        Raises:
            Refusal: the pool does not fit the map of such a small image.
        """
        side = self.map_side(image_size)
        if self.kernel:
            side = (side + 2 * self.padding - self.kernel) // self.stride + 1
        if side < 1:
            raise Refusal(
                f"protocol.heads: the {self.kernel}x{self.kernel} pool of {self.layer} does not fit its "
                f"{self.map_side(image_size)}x{self.map_side(image_size)} map at image_size {image_size}; "
                "choose a smaller kernel"
            )
        return self.channels * side * side

    def map_side(self, image_size: int) -> int:
        """Height and width of the map: the network halves (rounding up) once for conv1, twice for res2, and so on."""
        halvings = {"conv1": 1, "res2": 2, "res3": 3, "res4": 4, "res5": 5, "res5avg": 0}[self.layer]
        return 1 if self.layer == "res5avg" else -(-image_size // 2**halvings)


VISSL_HEADS = (
    Head("conv1", kernel=10, stride=10, padding=4),
    Head("res2", kernel=16, stride=8),
    Head("res3", kernel=13, stride=5),
    Head("res4", kernel=8, stride=3),
    Head("res5", kernel=6),
    Head("res5avg"),
)


def parse_head(text: str) -> Head:
    """A head as the command line spells it: "res5" for VISSL's own at 224 pixels, or "LAYER:KERNEL[:STRIDE[:PADDING]]".

    Raises:
        Refusal: no such layer, or a part that is not a number.
    """
    layer, *numbers = text.split(":")
    named = {head.layer: head for head in VISSL_HEADS}
    if layer not in named or len(numbers) > 3 or not all(number.isdigit() for number in numbers):
        raise Refusal(f"{text!r} is not a head; write one of {', '.join(named)}, or LAYER:KERNEL[:STRIDE[:PADDING]]")
    return Head(named[layer].layer, *map(int, numbers)) if numbers else named[layer]


def spell_head(head: Head) -> str:
    """The text from which `parse_head` makes this head."""
    return head.layer if head in VISSL_HEADS else f"{head.layer}:{head.kernel}:{head.stride}:{head.padding}"


@dataclass(frozen=True)
class LinearProtocol:
    """Linear classifiers on frozen features, one for each head, trained side by side by SGD; heads share nothing."""

    dataset: Literal["places205", "inat18"]
    cell: str
    cell_head: str
    """The head whose final validation top-1 is the cell's number, declared before the run."""
    epochs: int
    peak_lr: float
    """For `global_batch_size`, whatever it is; nothing is scaled."""
    drop_epochs: tuple[int, ...]
    """The learning rate is divided by 10 after each of these many completed epochs."""
    weight_decay: float = 1e-4
    momentum: float = 0.9
    nesterov: bool = True
    global_batch_size: int = 256
    image_size: int = 224
    resize: int = 256
    crop_area: tuple[float, float] = (0.08, 1.0)
    flip: bool = True
    heads: tuple[Head, ...] = VISSL_HEADS

    def __post_init__(self) -> None:
        """Raises Refusal naming the fields in conflict and the remedy."""
        refuse_numbers_out_of_range(
            self,
            momentum=(0.0, LARGEST_MOMENTUM),
            weight_decay=(0.0, math.inf),
            image_size=(1, LARGEST_SIDE),
            resize=(1, LARGEST_SIDE),
            crop_area=(0.0, 1.0),
        )
        refuse_foreign_cells(self.cells, self.dataset)
        if self.nesterov and not self.momentum:
            raise Refusal("protocol.nesterov is True and protocol.momentum 0; Nesterov's step needs a momentum")
        if not 0 < self.crop_area[0] <= self.crop_area[1]:
            raise Refusal(f"protocol.crop_area is {self.crop_area}; give two rising shares above 0")
        if self.cell_head not in {head.layer for head in self.heads}:
            raise Refusal(f"protocol.cell_head is {self.cell_head!r}, which is none of protocol.heads; add it there")
        if len({head.layer for head in self.heads}) < len(self.heads):
            raise Refusal("protocol.heads names a layer twice; keep one head for each layer")
        if list(self.drop_epochs) != sorted(set(self.drop_epochs)) or min((1, *self.drop_epochs)) < 1:
            raise Refusal(f"protocol.drop_epochs is {self.drop_epochs}; give rising epochs from 1 on")
        if min(self.epochs, self.global_batch_size) < 1 or self.peak_lr <= 0:
            raise Refusal("protocol.epochs, global_batch_size and peak_lr must be positive")
        if self.resize < self.image_size:
            raise Refusal(f"protocol.resize {self.resize} is below protocol.image_size {self.image_size}; raise it")
        for head in self.heads:
            head.feature_count(self.image_size)

    @property
    def cells(self) -> tuple[str, ...]:
        """The one cell this protocol fills."""
        return (self.cell,)


@dataclass(frozen=True)
class SvmProtocol:
    """One linear SVM per class on frozen features, C chosen by cross-validation; LIBLINEAR's L2-regularised L2-loss."""

    dataset: Literal["voc07"] = "voc07"
    cell: str = "table2/voc07/mAP"
    image_size: int = 224
    resize: int = 256
    crop: Literal["centre", "squash"] = "centre"
    """centre: short side to `resize`, central square of `image_size`; squash: then the whole image to that square."""
    feature: Head = Head("res5avg")
    costs: tuple[float, ...] = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
    folds: int = 3
    positive_weight: float = 2.0
    negative_weight: float = 1.0
    tolerance: float = 1e-4
    max_iterations: int = 2000
    norm_epsilon: float = 1e-5
    """Each feature vector is divided by its Euclidean norm plus this."""

    def __post_init__(self) -> None:
        """Raises Refusal naming the fields in conflict and the remedy."""
        refuse_numbers_out_of_range(
            self,
            image_size=(1, LARGEST_SIDE),
            resize=(1, LARGEST_SIDE),
            max_iterations=(1, math.inf),
            norm_epsilon=(0.0, math.inf),
        )
        refuse_foreign_cells(self.cells, self.dataset)
        if min(self.positive_weight, self.negative_weight, self.tolerance) <= 0:
            raise Refusal("protocol.positive_weight, negative_weight and tolerance must be positive")
        if not self.costs or min(self.costs) <= 0:
            raise Refusal(f"protocol.costs is {self.costs}; give at least one positive cost")
        if self.folds < 2:
            raise Refusal(f"protocol.folds is {self.folds}; cross-validation needs at least 2")
        if self.resize < self.image_size:
            raise Refusal(f"protocol.resize {self.resize} is below protocol.image_size {self.image_size}; raise it")
        self.feature.feature_count(self.image_size)

    @property
    def cells(self) -> tuple[str, ...]:
        """The one cell this protocol fills."""
        return (self.cell,)


PLACES205 = LinearProtocol(
    dataset="places205",
    cell="table2/places205/top1",
    cell_head="res5avg",
    epochs=28,
    peak_lr=0.003,
    drop_epochs=(4, 8, 12),
)
INAT18 = LinearProtocol(
    dataset="inat18",
    cell="table2/inat18/top1",
    cell_head="res5avg",
    epochs=84,
    peak_lr=0.005,
    drop_epochs=(24, 48, 72),
)
VOC07 = SvmProtocol()
RES5 = Head("res5", kernel=6)


def _demo(protocol: LinearProtocol) -> LinearProtocol:
    """The same protocol at the size of the digits corpus: 32 pixels, six epochs of small batches.

    At 32 pixels res5 is a single position, so its two heads would read the same numbers; res4 stands in for one. The
    paper's batch and learning rate would take three tiny steps an epoch on 720 images; digits must not be mirrored, and
    mild crops leave so little to chance that two engines, or two seeds, end within two points.
    """
    return replace(
        protocol,
        epochs=6,
        peak_lr=0.02,
        drop_epochs=(3, 5),
        global_batch_size=64,
        image_size=32,
        resize=32,
        crop_area=(0.85, 1.0),
        flip=False,
        heads=(Head("res4", kernel=2), Head("res5avg")),
    )


PROTOCOLS: dict[str, LinearProtocol | SvmProtocol] = {
    "places205": PLACES205,
    "places205-equal-drops": replace(PLACES205, drop_epochs=(7, 14, 21)),
    "places205-res5": replace(PLACES205, cell_head="res5"),
    "places205-demo": _demo(PLACES205),
    "inat18": INAT18,
    "inat18-res5": replace(INAT18, cell_head="res5"),
    "inat18-demo": _demo(INAT18),
    "voc07": VOC07,
    "voc07-squash": replace(VOC07, crop="squash"),
    "voc07-res5": replace(VOC07, feature=RES5),
    "voc07-squash-res5": replace(VOC07, crop="squash", feature=RES5),
    "voc07-demo": replace(VOC07, image_size=64, resize=64),
}
