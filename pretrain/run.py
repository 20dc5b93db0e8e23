"""What this machine provides to a pretraining: paths, devices, precision, cadence. Nothing here may move the result,
except where its description says so."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from results.refusal import Refusal
from results.settings import refuse_out_of_range, refuse_wrong_types


@dataclass(frozen=True)
class Run:
    """The machine's side of a pretraining."""

    data: Path = Path("imagenet")
    """Root of the data set: train/<class>/<image> and val/<class>/<image>."""
    output: Path | None = None
    """Run folder; the same command on the same folder goes on where it stopped. Default: runs/pretrain/<recipe>."""
    seed: int = 0
    """Moves the result: initial weights, order of images, views."""
    limit: int = 0
    """Use a stratified subset of about this many training images (0: all). Moves the result."""
    workers: int | None = None
    """Processes that prepare images for each rank. Default: this rank's share of the cores, at most 16."""
    threads: int | None = None
    """Threads that compute on a CPU. Default: this rank's share of the cores less its workers, at least one (two
    threads that must wait for a busy core take many times as long as one); the variable OMP_NUM_THREADS goes first."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "bf16", "fp16", "float32"] = "auto"
    """auto: bf16 on GPUs and on CPUs with bf16 instructions, else float32. fp16 scales the loss. The loss itself is
    always float32. Moves the result within noise."""
    views: Literal["fast", "reference"] = "fast"
    """fast: tensors on the host, colours on the device. reference: PIL throughout. Alike to 2 grey levels."""
    compile: bool = False
    """Compile the network with torch.compile; worthwhile on GPUs."""
    recompute_activations: bool = False
    """Keep only the residual blocks' inputs for the backward pass and compute the rest again: the same numbers. By
    count, not yet by clock, 4/3 of the time (two forward passes of four) and a fifth of the activations' memory. For
    batch 2048 on one GPU of 139 GiB."""
    log_every_steps: int = 10
    checkpoint_every_epochs: int = 1
    checkpoint_every_minutes: float = 30.0
    keep_checkpoints: int = 2
    """The last so many checkpoints stay; older ones are deleted."""
    knn_every_epochs: int = 0
    """Measure 20-NN accuracy every so many epochs (0: never). Labels serve this number alone, never the training."""
    tensorboard: bool = True
    strict: bool = False
    """Refuse, instead of warn, when the data folder has not the recipe's number of images and classes."""
    max_unreadable_share: float = 0.0001
    """Training images that cannot be read are skipped and counted, up to this share of all of them; one more ends the
    run. The next image in the list takes the place of each. Moves the result wherever one is skipped."""
    skip_doctor: bool = False
    """Start without looking at data set, disk and memory first."""
    timeout_minutes: float = 30.0
    """A rank that keeps the others waiting for so long is taken for lost: it is named, and all ranks end."""
    dry_run: bool = False
    """Print every resolved setting and leave; needs neither data nor GPU."""
    gradient_accumulation: int = 1
    """Only 1 is possible: the variance and covariance of several small batches are not those of a large one."""

    def __post_init__(self) -> None:
        refuse_wrong_types(self, "run")
        if self.gradient_accumulation != 1:
            raise Refusal(
                f"run.gradient_accumulation is {self.gradient_accumulation}: adding up gradients of several batches "
                "would silently change the variance and covariance terms; use more ranks, or a recipe with a smaller "
                "recipe.global_batch_size (batch-128 … batch-1024)"
            )
        refuse_out_of_range(
            self, "run", seed=(0, math.inf), limit=(0, math.inf), log_every_steps=(1, math.inf),
            checkpoint_every_epochs=(1, math.inf), keep_checkpoints=(1, math.inf), knn_every_epochs=(0, math.inf),
            threads=(1, 4096), workers=(0, 1024), timeout_minutes=(0.01, 1_000_000),
            max_unreadable_share=(0, 0.5),
        )  # fmt: skip
        # Infinity is possible: only epochs are saved then.
        if not self.checkpoint_every_minutes > 0:
            raise Refusal(f"run.checkpoint_every_minutes is {self.checkpoint_every_minutes}; it must be above 0")


@dataclass(frozen=True)
class Slurm:
    """A cluster to submit to; nodes 0 runs here and now."""

    nodes: int = 0
    gpus_per_node: int = 8
    cpus_per_gpu: int = 12
    hours: float = 24.0
    """Time limit of one job; the run requeues itself before it ends."""
    partition: str = ""
    account: str = ""
    memory_gb_per_node: int = 0
    """0 leaves it to the cluster."""
    executor: Literal["slurm", "local"] = "slurm"
    """local runs the same job object on this machine through submitit's local executor."""

    def __post_init__(self) -> None:
        refuse_wrong_types(self, "slurm")
        refuse_out_of_range(
            self, "slurm", nodes=(0, 65_536), gpus_per_node=(0, 1024), cpus_per_gpu=(1, 4096),
            memory_gb_per_node=(0, 1_000_000),
        )  # fmt: skip
        if not 0 < self.hours < math.inf:
            raise Refusal(f"slurm.hours is {self.hours}; it must be above 0 and finite")


def output_folder(run: Run, recipe_name: str) -> Path:
    """Where the run's files go."""
    return run.output or Path("runs") / "pretrain" / recipe_name
