"""What this machine provides for a transfer run: paths, devices, seed. Never what the paper prescribes."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from results.refusal import Refusal
from results.settings import refuse_out_of_range, refuse_wrong_types


@dataclass(frozen=True)
class Run:
    """The settings every transfer protocol takes from this machine."""

    checkpoint: str = ""
    """A checkpoint file in any public format, or a known name ("random-init", "torchvision-supervised", ...)."""
    data: Path = Path("data")
    """The root of the data set in its published layout."""
    output: Path = Path("runs/transfer")
    """Where run folders are kept; a command that is started again continues in its own."""
    records: Path = Path("runs/records")
    """Where records are written."""
    label: str = ""
    """The row of the paper's tables these weights belong to; empty: taken from the checkpoint's card or name."""
    seed: int = 0
    limit: int = 0
    """0 for all images, else a stratified subset of about this many training and as many test images."""
    workers: int = 2
    """Processes that decode images, for each device."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    gpus: int = 0
    """How many GPUs of this machine take part; 0 for the most among which a batch divides evenly, or the CPU.
    The native engines use one."""
    dry_run: bool = False
    """Print every resolved setting and stop; neither data nor GPU is needed."""
    again: bool = False
    """Measure anew although a record exists; the work starts from nothing in a fresh run folder."""
    skip_doctor: bool = False
    """Start without looking at data set, weights, disk and memory first."""

    def __post_init__(self) -> None:
        """Raises Refusal naming the first field that is out of range."""
        refuse_wrong_types(self, "run")
        refuse_out_of_range(self, "run", seed=(0, math.inf), limit=(0, math.inf), workers=(0, 1024), gpus=(0, 1024))
        if not self.checkpoint and not self.dry_run:
            raise Refusal("run.checkpoint is empty; give a weights file or a known name such as random-init")
        if self.device == "cpu" and self.gpus:
            raise Refusal(f"run.device is cpu but run.gpus is {self.gpus}; leave one of them out (with make: GPUS=0)")


def even_share(found: int, batch: int) -> int:
    """The most of `found` GPUs, and at least 1, among which `batch` images divide evenly."""
    return max(count for count in range(1, max(1, found) + 1) if batch % count == 0)


@dataclass(frozen=True)
class LinearRun(Run):
    """The settings of a run that trains linear classifiers on frozen features."""

    engine: Literal["vissl", "native"] = "vissl"
    """Who trains the heads: VISSL, as the paper did, or this suite's own loop."""
    port: int = 0
    """The port at which VISSL's processes meet; 0 for any free one."""

    def __post_init__(self) -> None:
        """Raises Refusal naming the first field that is out of range."""
        super().__post_init__()
        refuse_out_of_range(self, "run", port=(0, 65_535))


@dataclass(frozen=True)
class SvmRun(Run):
    """The settings of a run that trains support vector machines on frozen features."""

    engine: Literal["vissl", "native"] = "native"
    """Who drives LIBLINEAR: this suite, on all cores, or VISSL's own trainer. Both give the same mAP."""
