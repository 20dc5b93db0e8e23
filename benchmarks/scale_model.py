"""The time of one pretraining step on many GPUs, from its parts: `python -m benchmarks.scale_model` prints the table.

A step is: forward and backward of this rank's views; the collectives of synchronised batch norm, which wait on the
network's latency; the gather of both views' embeddings and this rank's strip of the loss; the sum of the gradients,
which hides behind the backward pass as far as it can; LARS, which every rank repeats. Images are read meanwhile, so
the step lasts as long as the slower of the two. The check: `benchmarks.scale_check`, docs/scale.md.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

PARAMETERS = 174_552_128
"""ResNet-50 and the projector 8192-8192-8192."""
BATCH_NORM_LAYERS = 55
"""53 in the backbone, 2 in the projector."""
BATCH_NORM_CHANNELS = 26_560 + 2 * 8192
"""Channels over all those layers: what one pass sends is a sum and a sum of squares for each."""
IMAGES = 1_281_167
BYTES = 4
LARS_PASSES = 15
"""Reads and writes of every parameter-sized array in one step of foreach operations."""
OVERLAPPED = 2 / 3
"""Share of the step's computation that is backward pass, behind which the gradients' sum can hide."""


@dataclass(frozen=True)
class Hardware:
    """One kind of GPU and the network around it; every figure with its source."""

    name: str
    views_per_second: float
    """224 px views through ResNet-50 forward and backward on one GPU, half precision."""
    matrix_flops: float
    """Float32 (TF32) matrix products of the loss, FLOP/s reached."""
    memory_bytes_per_second: float
    gpus_per_node: int
    inside_bytes_per_second: float
    """Each GPU to its node's others, reached by collectives."""
    outside_bytes_per_second: float
    """Each GPU to other nodes."""
    inside_latency: float
    """Seconds of a collective on a few kilobytes inside a node."""
    outside_latency: float
    """Seconds that each doubling of the number of nodes adds."""
    cores_per_gpu: int
    images_per_second_per_core: float
    """Source images, two views each, from JPEG to uint8 crops: what `views-host` measures; 800 to 940 were seen."""
    euros_per_gpu_hour: float
    source: str


H200 = Hardware(
    "H200", 4940, 2.0e14, 4.0e12, 8, 3.0e11, 4.0e10, 2.5e-5, 1.0e-5, 16, 850.0, 3.0,
    "twice an A100's 2,470 images/s of ResNet-50 in mixed precision (NVIDIA DeepLearningExamples); NVLink 4 at 900 "
    "GB/s and 400 Gb/s InfiniBand a GPU, of which collectives reach two thirds and 80 % in one direction; rent assumed",
)  # fmt: skip

A100 = replace(
    H200, name="A100 80 GB", views_per_second=2470, matrix_flops=7.0e13, memory_bytes_per_second=1.6e12,
    inside_bytes_per_second=2.0e11, outside_bytes_per_second=2.0e10, euros_per_gpu_hour=1.5,
    source="2,470 images/s (NVIDIA DeepLearningExamples, mixed precision); NVLink 3, 200 Gb/s InfiniBand a GPU",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """Seconds of each part of one step."""

    compute: float
    batch_norm: float
    gather: float
    loss: float
    gradients_shown: float
    """What the backward pass does not hide of the gradients' sum."""
    optimizer: float
    data: float
    """Seconds the cores need for this step's images; only what exceeds the rest is waited for."""

    @property
    def device(self) -> float:
        """Seconds the GPU and its network are busy."""
        return self.compute + self.batch_norm + self.gather + self.loss + self.gradients_shown + self.optimizer

    @property
    def seconds(self) -> float:
        """The step: device work and reading side by side."""
        return max(self.device, self.data)


def step(hardware: Hardware, gpus: int, *, batch: int = 2048, width: int = 8192) -> Step:
    """One step of a global batch on `gpus` GPUs."""
    compute = 2 * batch / gpus / hardware.views_per_second
    statistics = 4 * BATCH_NORM_CHANNELS // BATCH_NORM_LAYERS * BYTES
    gradients = collective(hardware, gpus, 2 * PARAMETERS * BYTES)
    return Step(
        compute=compute,
        batch_norm=4 * BATCH_NORM_LAYERS * collective(hardware, gpus, statistics),
        gather=2 * collective(hardware, gpus, batch * width * BYTES),
        loss=loss_flops(batch, width) / gpus / hardware.matrix_flops,
        gradients_shown=max(0.0, gradients - OVERLAPPED * compute),
        optimizer=LARS_PASSES * PARAMETERS * BYTES / hardware.memory_bytes_per_second,
        data=batch / gpus / (hardware.cores_per_gpu * hardware.images_per_second_per_core),
    )  # fmt: skip


def collective(hardware: Hardware, gpus: int, moved: float) -> float:
    """Seconds of one collective in which each GPU sends and receives `moved` x (gpus - 1) / gpus bytes, as rings do."""
    if gpus == 1:
        return 0.0
    nodes = math.ceil(gpus / hardware.gpus_per_node)
    latency = hardware.inside_latency + hardware.outside_latency * math.log2(nodes)
    speed = hardware.inside_bytes_per_second if nodes == 1 else hardware.outside_bytes_per_second
    return latency + moved * (gpus - 1) / gpus / speed


def loss_flops(batch: int, width: int) -> float:
    """Both views' products, forward and backward, through the smaller of the n x n and the d x d matrix."""
    return 2 * 2 * 2 * batch * width * min(batch, width)


def epochs_cost(hardware: Hardware, gpus: int, *, epochs: int, batch: int) -> tuple[float, float]:
    """Hours, and GPU-hours, of `epochs` over ImageNet."""
    hours = epochs * math.ceil(IMAGES / batch) * step(hardware, gpus, batch=batch).seconds / 3600
    return hours, hours * gpus


HEADINGS = (
    "GPUs", "step ms", "compute", "BN", "gather", "loss", "gradients shown", "LARS", "data", "images/s", "efficiency",
    "1000 epochs h", "GPU-h", "EUR",
)  # fmt: skip


def rows(hardware: Hardware, counts: Sequence[int], *, batch: int) -> list[tuple[str, ...]]:
    """The table's rows for these numbers of GPUs; efficiency is against one GPU of the same kind."""
    alone = step(hardware, 1, batch=batch).seconds
    found = []
    for gpus in counts:
        parts = step(hardware, gpus, batch=batch)
        hours, gpu_hours = epochs_cost(hardware, gpus, epochs=1000, batch=batch)
        milliseconds = (
            parts.seconds, parts.compute, parts.batch_norm, parts.gather, parts.loss, parts.gradients_shown,
            parts.optimizer, parts.data,
        )  # fmt: skip
        found.append((
            str(gpus), *(f"{1e3 * value:.1f}" for value in milliseconds), f"{batch / parts.seconds:,.0f}",
            f"{alone / parts.seconds / gpus:.0%}", f"{hours:.1f}", f"{gpu_hours:,.0f}",
            f"{gpu_hours * hardware.euros_per_gpu_hour:,.0f}",
        ))  # fmt: skip
    return found


def stops_scaling(hardware: Hardware, *, batch: int, worthwhile: float = 0.5) -> int:
    """The largest power of two of GPUs at which doubling them last paid at least `worthwhile` of a doubling."""
    gpus = 1
    while 2 * gpus <= batch:
        gain = step(hardware, gpus, batch=batch).seconds / step(hardware, 2 * gpus, batch=batch).seconds - 1
        if gain < worthwhile:
            break
        gpus *= 2
    return gpus


def markdown(hardware: Hardware, counts: Sequence[int], *, batch: int) -> str:
    """The table of one kind of GPU, with its figures' sources and where scaling stops."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *rows(hardware, counts, batch=batch)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    limit = stops_scaling(hardware, batch=batch)
    return (
        f"{hardware.name}, global batch {batch} ({hardware.source}):\n\n{table}\n\n"
        f"Beyond {limit} GPUs, doubling them gains less than half of a doubling.\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_model", description=__doc__)
    parser.add_argument("--batch", type=int, default=2048, help="global batch size (the paper's: 2048)")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 32, 256], help="numbers of GPUs")
    chosen = parser.parse_args(arguments)
    for hardware in (H200, A100):
        print(markdown(hardware, chosen.gpus, batch=chosen.batch))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
