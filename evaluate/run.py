"""What this machine provides for an evaluation: files, folders, devices. What moves the number is in `protocols`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from results.cells import is_cell
from results.refusal import Refusal
from results.settings import refuse_out_of_range, refuse_wrong_types

FLOAT32: Literal["float32"] = "float32"


@dataclass(frozen=True)
class Run:
    """One evaluation on this machine.

    Attributes:
        checkpoint: a weights file ("resnet50.pth"; "file.pth#teacher" chooses one of several backbones inside), or a
            known name: "random-init" (the control), "vicreg-resnet50", "torchvision-supervised", ...
        data: root of the data set in its published layout (it holds train/ and val/).
        output: folder of the resumable work folders and of the feature cache.
        records: folder of the records; a cell that has one here is not measured again.
        label: the paper's row these weights belong to; empty: from the checkpoint's card or known name, else "VICReg".
        seed: of the head's initial weights, the order of the images and their crops.
        limit: about how many training and validation images to use, stratified; 0 uses all. Recorded as a subset.
        workers: processes that decode images, for each rank.
        device: "auto" takes CUDA where there is one.
        precision: of the trunk's forward pass. "bfloat16" is faster, moves features, and is recorded as a deviation.
        memory_mb: how much memory the kNN search may use, in MiB; the result is exact whatever it is.
        save_every_seconds: how much work an interruption may cost.
        dry_run: print every resolved setting and stop; needs neither data nor weights.
        cell: the ablation's cell that the linear top-1 fills instead of Table 1's, as "table4a/inv/top1"; empty: none.
        again: measure even if the records exist; earlier records stay.
        skip_doctor: start without looking at data set, weights, disk and memory first.
    """

    checkpoint: str = ""
    data: Path = Path("data/imagenet")
    output: Path = Path("runs/evaluate")
    records: Path = Path("runs/records")
    label: str = ""
    seed: int = 0
    limit: int = 0
    workers: int = 2
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = FLOAT32
    memory_mb: int = 2048
    save_every_seconds: float = 120.0
    dry_run: bool = False
    cell: str = ""
    again: bool = False
    skip_doctor: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers no machine can provide, naming the field."""
        refuse_wrong_types(self, "run")
        refuse_out_of_range(
            self, "run", seed=(0, math.inf), limit=(0, math.inf), workers=(0, 1024), memory_mb=(1, math.inf),
            save_every_seconds=(0, math.inf),
        )  # fmt: skip
        if self.cell and not is_cell(self.cell):
            raise Refusal(f"run.cell is {self.cell!r}, no cell of the paper; `python -m results cells` lists them")

    @property
    def deviations(self) -> tuple[str, ...]:
        """Choices of this run that move the number although they belong to the machine."""
        if self.precision == FLOAT32:
            return ()
        return (f"precision: {FLOAT32} -> {self.precision}",)
