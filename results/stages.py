"""The stages that measure the paper's cells: which room's command fills which cells, from which data set."""

from dataclasses import dataclass
from typing import Literal

Scale = Literal["paper", "demo", "smoke"]
Room = Literal["evaluate", "transfer"]


@dataclass(frozen=True)
class Stage:
    """One command of another room.

    Attributes:
        protocol: its name in that room; the demo's is the same with "-demo" behind it.
        datasets: the data room's names of what it reads.
        source: which of the user's data roots that is, and the folder's name in the digits corpus.
        cells: the cells it fills.
        seeds: one record of each makes the cell's number; five for VOC detection, as MoCo's own protocol has it.
        demo_seconds: about how long the demo's size takes on two CPU cores.
        smoke_overrides: what makes the demo's size shorter still. Its records then list deviations.
        control: whether demo and smoke runs also measure the untrained control, which doubles the stage's time.
    """

    protocol: str
    room: Room
    datasets: tuple[str, ...]
    source: Literal["imagenet", "places205", "inat18", "voc", "coco"]
    cells: tuple[str, ...]
    demo_seconds: float
    smoke_overrides: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    control: bool = False

    def protocol_at(self, *, demo: bool) -> str:
        """The protocol's name at the paper's or at the demo's size."""
        return f"{self.protocol}-demo" if demo else self.protocol


DIGITS_FOLDERS = {
    "imagenet": "imagenet", "places205": "places205", "inat18": "inat18", "voc": "VOCdevkit", "coco": "coco"
}  # fmt: skip
ONE_EPOCH = ("--protocol.epochs", "1")
TWO_EPOCHS = ("--protocol.epochs", "2", "--protocol.drop-epochs", "1")
TWO_ITERATIONS = ("--protocol.iterations", "2", "--protocol.lr-drops", "1")

STAGES = (
    Stage(
        "knn", "evaluate", ("imagenet",), "imagenet", ("table5/knn_20/top1", "table5/knn_200/top1"),
        demo_seconds=7, smoke_overrides=("--run.limit", "600"), control=True,
    ),
    Stage(
        "voc07", "transfer", ("voc07",), "voc", ("table2/voc07/mAP",),
        demo_seconds=8, smoke_overrides=("--protocol.costs", "1.0", "10.0"), control=True,
    ),
    Stage(
        "linear", "evaluate", ("imagenet",), "imagenet", ("table1/linear/top1", "table1/linear/top5"),
        demo_seconds=28, smoke_overrides=ONE_EPOCH, control=True,
    ),
    Stage(
        "semi-1pct", "evaluate", ("imagenet", "imagenet_1pct"), "imagenet",
        ("table1/semi_1pct/top1", "table1/semi_1pct/top5"), demo_seconds=27, smoke_overrides=ONE_EPOCH, control=True,
    ),
    Stage(
        "semi-10pct", "evaluate", ("imagenet", "imagenet_10pct"), "imagenet",
        ("table1/semi_10pct/top1", "table1/semi_10pct/top5"), demo_seconds=34, smoke_overrides=ONE_EPOCH, control=True,
    ),
    Stage(
        "places205", "transfer", ("places205",), "places205", ("table2/places205/top1",),
        demo_seconds=27, smoke_overrides=TWO_EPOCHS, control=True,
    ),
    Stage(
        "inat18", "transfer", ("inat18",), "inat18", ("table2/inat18/top1",),
        demo_seconds=25, smoke_overrides=TWO_EPOCHS, control=True,
    ),
    Stage(
        "voc0712", "transfer", ("voc0712",), "voc", ("table2/voc0712/AP50",),
        demo_seconds=27, smoke_overrides=TWO_ITERATIONS, seeds=(0, 1, 2, 3, 4),
    ),
    Stage(
        "coco", "transfer", ("coco",), "coco", ("table2/coco_det/AP", "table2/coco_seg/AP"),
        demo_seconds=27, smoke_overrides=TWO_ITERATIONS,
    ),
)  # fmt: skip


ABLATION_PROTOCOL = "linear"
"""Every ablation is judged by the linear probe of its own pretraining."""


def protocol_of(cell: str) -> str:
    """The protocol by which the paper's number in `cell` is to be met."""
    stage = stage_of(cell)
    return stage.protocol if stage else ABLATION_PROTOCOL


def stage_of(cell: str) -> Stage | None:
    """The stage that fills `cell`; None for the ablations, whose cells need their own pretraining."""
    return next((stage for stage in STAGES if cell in stage.cells), None)
