"""The stages that measure the paper's cells: which room's command fills which cells, from which data set."""

from dataclasses import dataclass
from typing import Literal

Scale = Literal["paper", "demo", "smoke"]


@dataclass(frozen=True)
class Stage:
    """One command of another room. `protocol` is its name there; the demo's is the same with "-demo" behind it.

    `dataset` is the data room's name; `folder` is where the digits corpus keeps it.
    """

    protocol: str
    room: Literal["evaluate", "transfer"]
    dataset: str
    folder: str
    cells: tuple[str, ...]
    smoke_overrides: tuple[str, ...] = ()

    def protocol_at(self, scale: Scale) -> str:
        """The protocol's name at this scale; smoke runs on digits take the demo's."""
        return self.protocol if scale == "paper" else f"{self.protocol}-demo"


STAGES = (
    Stage("knn", "evaluate", "imagenet", "imagenet", ("table5/knn_20/top1", "table5/knn_200/top1")),
    Stage("voc07", "transfer", "voc07", "VOCdevkit", ("table2/voc07/mAP",)),
    Stage("semi-1pct", "evaluate", "imagenet", "imagenet", ("table1/semi_1pct/top1", "table1/semi_1pct/top5")),
    Stage("semi-10pct", "evaluate", "imagenet", "imagenet", ("table1/semi_10pct/top1", "table1/semi_10pct/top5")),
    Stage("linear", "evaluate", "imagenet", "imagenet", ("table1/linear/top1", "table1/linear/top5")),
    Stage("voc0712", "transfer", "voc0712", "VOCdevkit", ("table2/voc0712/AP50",)),
    Stage("places205", "transfer", "places205", "places205", ("table2/places205/top1",)),
    Stage("coco", "transfer", "coco", "coco", ("table2/coco_det/AP", "table2/coco_seg/AP")),
    Stage("inat18", "transfer", "inat18", "inat18", ("table2/inat18/top1",)),
)


def stage_of(cell: str) -> Stage | None:
    """The stage that fills `cell`; None for the ablations, whose cells need their own pretraining."""
    return next((stage for stage in STAGES if cell in stage.cells), None)
