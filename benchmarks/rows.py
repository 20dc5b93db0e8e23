"""The rows of the table: what is measured, the target, on how many cores, and the function that measures it."""

from dataclasses import dataclass
from typing import Literal

Sense = Literal["at least", "at most"]


@dataclass(frozen=True)
class Row:
    """One measurement and what it has to reach. `measure` is "module:function", imported in the row's own process.

    Rows that compare computation use one core and count its CPU seconds: a parallel region waits for its slowest
    thread, so on a machine with neighbours its time measures the neighbours. The rows named "-2-threads" repeat some
    of them by the clock on the wall, as a training meets them; they mean something on an idle machine only.
    """

    name: str
    what: str
    sense: Sense
    target: float
    unit: str
    measure: str
    threads: int = 1
    gpu: bool = False
    time_limit_seconds: int = 240

    @property
    def is_ratio(self) -> bool:
        """Whether the value compares two sides of one run, and so means the same on another machine."""
        return self.unit not in ("s", "images/s", "GiB")

    def met(self, value: float) -> bool:
        """Whether `value` reaches the target."""
        return value >= self.target if self.sense == "at least" else value <= self.target

    @property
    def target_text(self) -> str:
        """The target as the table prints it."""
        return f"{self.sense} {self.target:g} {self.unit}"


FASTER = "x faster"
SHARE = "of the baseline"

ROWS: tuple[Row, ...] = (
    Row("loss-2048", "loss, forward and backward, both views, n=2048 d=8192 float32", "at least", 4, FASTER,
        "benchmarks.loss:large_batch"),
    Row("loss-256", "loss, forward and backward, both views, n=256 d=8192 float32", "at least", 25, FASTER,
        "benchmarks.loss:small_batch"),
    Row("loss-2048-2-threads", "the same on two threads, wall clock, n=2048", "at least", 4, FASTER,
        "benchmarks.loss:large_batch_by_wall_clock", threads=2),
    Row("loss-256-2-threads", "the same on two threads, wall clock, n=256", "at least", 25, FASTER,
        "benchmarks.loss:small_batch_by_wall_clock", threads=2),
    Row("loss-memory", "extra peak memory of the loss, n=256 d=8192", "at most", 0.10, SHARE,
        "benchmarks.memory:loss_memory"),
    Row("views-host", "host work per image for two 224 px views from 500 x 334 JPEGs", "at least", 6, FASTER,
        "benchmarks.views:host_work"),
    Row("views-cpu", "all augmentations on the CPU, two 224 px views", "at least", 2, FASTER,
        "benchmarks.views:everything"),
    Row("loader", "DataLoader end to end, 2 workers, a batch of both views ready for the device", "at least", 4, FASTER,
        "benchmarks.loader:end_to_end"),
    Row("lars", "LARS step on ResNet-50 + projector (174.6 M parameters)", "at least", 3, FASTER,
        "benchmarks.lars:step"),
    Row("lars-2-threads", "the same on two threads, wall clock", "at least", 3, FASTER,
        "benchmarks.lars:step_by_wall_clock", threads=2),
    Row("loss-4-ranks", "loss under 4 gloo ranks: CPU work per rank against one rank", "at most", 0.35, "of one rank",
        "benchmarks.ranks:work_per_rank"),
    Row("probe-heads", "linear probe: 8 learning rates in one pass over the frozen trunk against 1", "at most", 1.2,
        "of one head", "benchmarks.probe_heads:heads"),
    Row("forward-bf16", "evaluation forward of frozen ResNet-50 at 224 px: bf16 channels-last against float32 NCHW",
        "at least", 1.5, FASTER, "benchmarks.forward:precision"),
    Row("knn-stream", "exact kNN streamed from disk under 256 MB against the raw matrix product", "at least", 0.6,
        "of the product's rate", "benchmarks.evaluators:streamed_knn"),
    Row("svm", "VOC07's SVMs, the middle class, processor time of both trainers", "at least", 3, FASTER,
        "benchmarks.evaluators:one_class_svm", time_limit_seconds=600),
    Row("help", "python -m pretrain --help", "at most", 3, "s", "benchmarks.commands:pretrain_help"),
    Row("compare", "python -m results compare", "at most", 2, "s", "benchmarks.commands:results_compare"),
    Row("demo-start", "make demo until the first training step, environment present", "at most", 20, "s",
        "benchmarks.commands:demo_start", threads=2),
    Row("gpu-step", "whole training step, synthetic batches of 256", "at least", 2, FASTER, "benchmarks.gpu:synthetic",
        gpu=True, threads=16, time_limit_seconds=600),
    Row("gpu-step-jpeg", "whole training step from JPEG files, batches of 256", "at least", 2, FASTER,
        "benchmarks.gpu:jpegs", gpu=True, threads=16, time_limit_seconds=600),
    Row("gpu-images", "training from JPEG files, source images (two views each)", "at least", 2000, "images/s",
        "benchmarks.gpu:images_per_second", gpu=True, threads=16),
    Row("gpu-augment", "device-side augmentation", "at most", 0.05, "of the step", "benchmarks.gpu:augmentation",
        gpu=True, threads=16),
    Row("gpu-wait", "waiting for data, training from JPEG files with 16 cores", "at most", 0.02, "of the step",
        "benchmarks.gpu:data_wait", gpu=True, threads=16),
    Row("gpu-2048", "peak memory of a step at batch 2048 on one GPU", "at most", 139, "GiB",
        "benchmarks.gpu_memory:largest_batch", gpu=True, threads=16),
)  # fmt: skip


def chosen(names: tuple[str, ...]) -> tuple[Row, ...]:
    """The rows with these names, in the table's order; all of them for no name.

    Raises:
        KeyError: a name that is no row's.
    """
    known = {row.name: row for row in ROWS}
    for name in names:
        if name not in known:
            raise KeyError(name)
    return tuple(row for row in ROWS if not names or row.name in names)
