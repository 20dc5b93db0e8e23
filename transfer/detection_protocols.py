"""The protocols of Table 2's detection and segmentation columns; their cards say where each setting comes from.

The paper's appendix B.4 gives the schedule and names Detectron2; everything else follows what it says it follows
(MoCo for VOC07+12) or, for COCO, the closest published configuration (VISSL's R50-FPN v2). A protocol is a difference
to one of Detectron2's own configuration files, and `transfer/engines/detectron2_configs/` holds each full-size result
as Detectron2 sees it, so that no setting can drift unseen. The cards are results/paper/cards/{voc0712,coco}.json
(`python -m results explain table2/voc0712/AP50` prints one).

The unit of the VOC07+12 cell is the mean of five runs with seeds 0 to 4: fine-tuning on VOC varies by about 0.2 AP50
from run to run (MoCo, detection/README.md), as much as the methods of Table 2 differ. One record is one seed.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from evaluate.protocols import LARGEST_SIDE, refuse_numbers_out_of_range
from results.refusal import Refusal
from transfer.limits import refuse_foreign_cells, refuse_foreign_config

FPN_LEVELS = 5


@dataclass(frozen=True)
class DetectionProtocol:
    """Fine-tuning of a whole detector from the pretrained backbone, trained and evaluated by Detectron2."""

    dataset: Literal["voc0712", "coco"]
    cells: tuple[str, ...]
    base_config: str
    """The file below Detectron2's model_zoo/configs that this protocol is a difference to."""
    iterations: int
    base_lr: float
    """The learning rate after warm-up, for `images_per_batch` images over all devices."""
    lr_drops: tuple[int, ...]
    """The learning rate is divided by 10 after each of these iterations."""
    warmup_iterations: int
    warmup_factor: float
    """Share of `base_lr` at the first iteration, from where it rises linearly."""
    images_per_batch: int = 16
    batch_divisor: int = 1
    """For devices that cannot hold `images_per_batch`: batch and learning rate are divided by it, iterations
    multiplied. The record then lists it as a deviation."""
    norm: Literal["SyncBN", "naiveSyncBN", "BN"] = "SyncBN"
    fpn_norm: Literal["", "SyncBN", "naiveSyncBN", "BN"] = ""
    extra_norm_after_res5: bool = False
    freeze_at: int = 0
    """How many of the backbone's stages stay frozen; 0 fine-tunes all."""
    precise_bn_iterations: int = 200
    """Batches over which the batch norms' statistics are measured anew before evaluation; 0 keeps running averages."""
    channel_order: Literal["RGB", "BGR"] = "RGB"
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    stride_in_1x1: bool = False
    rpn_loss_weight: float = 1.0
    train_short_sides: tuple[int, ...] = (640, 672, 704, 736, 768, 800)
    """One is drawn for each training image, in pixels."""
    test_short_side: int = 800
    max_long_side: int = 1333
    flip: bool = True
    """Half of the training images are mirrored."""
    anchor_sizes: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Side lengths in pixels; all at the C4 map, or one at each of the five FPN levels."""
    regions_per_image: int = 512
    """Sampled for the box head's loss."""
    proposals_train: int = 2000
    """Kept after the RPN's non-maximum suppression."""
    proposals_test: int = 1000

    def __post_init__(self) -> None:
        """Raises Refusal naming the fields in conflict and the remedy."""
        refuse_numbers_out_of_range(
            self,
            rpn_loss_weight=(0.0, math.inf),
            freeze_at=(0, 5),
            test_short_side=(1, LARGEST_SIDE),
            max_long_side=(1, LARGEST_SIDE),
            train_short_sides=(1, LARGEST_SIDE),
        )
        refuse_foreign_cells(self.cells, self.dataset)
        refuse_foreign_config(self.base_config)
        counts = (self.regions_per_image, self.proposals_train, self.proposals_test, self.max_long_side)
        if min(*counts, *self.anchor_sizes, *self.pixel_std) <= 0:
            raise Refusal(
                "protocol.regions_per_image, proposals_train, proposals_test, max_long_side, anchor_sizes and "
                "pixel_std must be positive"
            )
        if list(self.lr_drops) != sorted(set(self.lr_drops)) or not all(0 < d < self.iterations for d in self.lr_drops):
            raise Refusal(
                f"protocol.lr_drops is {self.lr_drops} with protocol.iterations {self.iterations}; "
                "give rising iterations below protocol.iterations"
            )
        if min(self.iterations, self.images_per_batch, self.batch_divisor) < 1 or self.base_lr <= 0:
            raise Refusal("protocol.iterations, images_per_batch, batch_divisor and base_lr must be positive")
        if self.images_per_batch % self.batch_divisor:
            raise Refusal(
                f"protocol.batch_divisor {self.batch_divisor} does not divide protocol.images_per_batch "
                f"{self.images_per_batch}; choose a divisor"
            )
        if self.warmup_iterations < 0 or not 0 < self.warmup_factor <= 1 or self.precise_bn_iterations < 0:
            raise Refusal("protocol.warmup_iterations and precise_bn_iterations start at 0, warmup_factor is in (0, 1]")
        if not self.anchor_sizes:
            raise Refusal("protocol.anchor_sizes is empty; give at least one size in pixels")
        if self.is_fpn and len(self.anchor_sizes) != FPN_LEVELS:
            raise Refusal(f"protocol.anchor_sizes needs {FPN_LEVELS} sizes for an FPN, found {len(self.anchor_sizes)}")
        if self.is_fpn and self.extra_norm_after_res5:
            raise Refusal(
                "protocol.extra_norm_after_res5 belongs to the C4 head; an FPN detector has none to put it in"
            )
        if max(self.test_short_side, *self.train_short_sides, 0) > self.max_long_side:
            raise Refusal(
                f"protocol.max_long_side is {self.max_long_side}, below the short sides "
                f"{(*self.train_short_sides, self.test_short_side)}; no image could have both"
            )
        if not self.train_short_sides or min(*self.train_short_sides, self.test_short_side) < 32:
            raise Refusal("protocol.train_short_sides and test_short_side need sizes of at least 32 pixels")

    @property
    def is_fpn(self) -> bool:
        """Whether the detector has a feature pyramid (Mask R-CNN), or the C4 map and res5 as head (Faster R-CNN)."""
        return "FPN" in self.base_config

    @property
    def effective_images_per_batch(self) -> int:
        """Images in one optimiser step over all devices."""
        return self.images_per_batch // self.batch_divisor

    @property
    def effective_lr(self) -> float:
        """The learning rate after warm-up at that batch size (linear scaling: Goyal et al. 2017, section 2.1)."""
        return self.base_lr / self.batch_divisor

    @property
    def effective_iterations(self) -> int:
        """Iterations that show the detector as many images as `iterations` of the full batch do."""
        return self.iterations * self.batch_divisor


VOC0712 = DetectionProtocol(
    dataset="voc0712",
    cells=("table2/voc0712/AP50",),
    base_config="PascalVOC-Detection/faster_rcnn_R_50_C4.yaml",
    iterations=24_000,
    base_lr=0.05,
    lr_drops=(18_000, 22_000),
    warmup_iterations=1000,
    warmup_factor=0.333,
    extra_norm_after_res5=True,
    train_short_sides=(480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800),
)
"""VOC07+12 detection, Faster R-CNN R50-C4, as appendix B.4 says.

    python -m transfer voc0712 --run.checkpoint resnet50.pth --run.data VOCdevkit --run.seed 0    # and seeds 1 to 4

Expect 82.4 AP50 (Table 2). A user of this setting reports 79.07 (vicreg issue 15, unanswered); `voc0712-iclr` and
`voc0712-moco` are what to measure next. Detectron2's model zoo trains R50-C4 at 0.551 s an iteration on 8 V100: about
four hours a seed.
"""

COCO = DetectionProtocol(
    dataset="coco",
    cells=("table2/coco_det/AP", "table2/coco_seg/AP"),
    base_config="COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml",
    iterations=90_000,
    base_lr=0.04,
    lr_drops=(60_000, 80_000),
    warmup_iterations=50,
    warmup_factor=0.001,
    fpn_norm="SyncBN",
    proposals_train=1000,
)
"""COCO detection and instance segmentation, Mask R-CNN R50-FPN for 90k iterations, as appendix B.4 says.

    python -m transfer coco --run.checkpoint resnet50.pth --run.data coco

Expect 39.4 box AP and 36.4 mask AP (Table 2). With Detectron2's plain configuration a user got 38.0 box AP
(VICRegL issue 20). Detectron2's model zoo trains this detector at 0.261 s an iteration on 8 V100: six and a half hours.
"""


def demo_of(protocol: DetectionProtocol) -> DetectionProtocol:
    """`protocol` for scenes of about 128 pixels and two CPU cores: a few iterations that show that every part runs.

    Digits must not be mirrored.
    """
    iterations = 30 if protocol.is_fpn else 12
    return replace(
        protocol,
        iterations=iterations,
        base_lr=0.02,
        lr_drops=(iterations - 2,),
        warmup_iterations=4,
        warmup_factor=0.333,
        images_per_batch=2,
        precise_bn_iterations=4,
        train_short_sides=(112, 128),
        test_short_side=128,
        max_long_side=224,
        flip=False,
        anchor_sizes=(8, 16, 32, 64, 128),
        regions_per_image=16,
        proposals_train=64,
        proposals_test=16,
    )


def long_demo_of(protocol: DetectionProtocol) -> DetectionProtocol:
    """`protocol` at the size of the digits corpus but long enough to learn from it, in minutes on two CPU cores.

    A C4 detector is shown scenes at twice their size, so that a digit covers several positions of its map; an FPN sees
    them as they are, and can afford to learn from more regions, which do not pass through res5.
    """
    longer = replace(demo_of(protocol), iterations=600, lr_drops=(450, 560), warmup_iterations=50)
    if protocol.is_fpn:
        return replace(longer, regions_per_image=64, proposals_train=200, proposals_test=50, precise_bn_iterations=50)
    return replace(
        longer,
        base_lr=0.01,
        precise_bn_iterations=50,
        train_short_sides=(192, 224, 256),
        test_short_side=224,
        max_long_side=448,
        anchor_sizes=(32, 48, 64, 96, 128),
        proposals_train=128,
        proposals_test=32,
    )


PROTOCOLS: dict[str, DetectionProtocol] = {
    "voc0712": VOC0712,
    "voc0712-iclr": replace(VOC0712, base_lr=0.1, rpn_loss_weight=0.2),
    "voc0712-moco": replace(VOC0712, base_lr=0.02, warmup_iterations=100, warmup_factor=0.001, norm="naiveSyncBN"),
    "voc0712-demo": demo_of(VOC0712),
    "voc0712-demo-long": long_demo_of(VOC0712),
    "coco": COCO,
    "coco-vissl": replace(COCO, base_lr=0.1),
    "coco-moco": replace(COCO, base_lr=0.02, warmup_iterations=1000),
    "coco-demo": demo_of(COCO),
    "coco-demo-long": long_demo_of(COCO),
}
