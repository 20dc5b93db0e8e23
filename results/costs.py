"""What each stage costs: how much work it is, on what hardware figures, and the hours, disk and memory that follow."""

import functools
from dataclasses import dataclass
from pathlib import Path

from results.refusal import Refusal
from results.stages import STAGES
from results.tables import targets
from results.typed import read_csv

FOLDER = Path(__file__).parent
SCALING = 0.9
"""Share of the single GPU's speed that each of several keeps; NVIDIA's ResNet-50 runs keep 0.84 to 0.97 on eight."""
GPUS_OF_ITERATION_TIMES = 8


@dataclass(frozen=True)
class Cost:
    """The work of one stage, for one seed.

    `forward_images` pass through the network only, `train_images` also back; `views` are pretraining views.
    `seconds_per_iteration` is on eight V100. `gpu_gib_per_image` times `batch` is the memory over all GPUs.
    """

    stage: str
    forward_images: int
    train_images: int
    views: int
    iterations: int
    seconds_per_iteration: float
    cpu_hours: float
    batch: int
    gpu_gib_per_image: float
    data_gib: float
    work_gib: float
    source: str


@dataclass(frozen=True)
class Hardware:
    """How fast one GPU (or one machine without) is, with the source of each figure.

    Rates are of ResNet-50 at 224 pixels in single precision; `views_per_second` is VICReg pretraining as published,
    data loading included; `detection_speed` is relative to a V100.
    """

    name: str
    title: str
    forward_images_per_second: float
    train_images_per_second: float
    views_per_second: float
    detection_speed: float
    memory_gib: float
    cores_per_gpu: float
    decoded_images_per_second_per_core: float
    source: str


@dataclass(frozen=True)
class AblationRun:
    """Which pretraining run fills an ablation's cell; several cells of the paper share one."""

    cell: str
    run: str


@functools.cache
def costs() -> dict[str, Cost]:
    """The work of every stage and of pretraining, by name.

    Raises:
        Refusal: a stage has no cost.
    """
    found = {cost.stage: cost for cost in read_csv(FOLDER / "costs.csv", Cost)}
    if missing := [stage.protocol for stage in STAGES if stage.protocol not in found]:
        raise Refusal(f"costs.csv: no line for {missing[0]}")
    return found


@functools.cache
def known_hardware() -> dict[str, Hardware]:
    """Figures of machines one may not have, by name."""
    return {item.name: item for item in read_csv(FOLDER / "hardware.csv", Hardware)}


@functools.cache
def ablation_runs() -> dict[str, tuple[str, ...]]:
    """The cells that each pretraining run fills, by run.

    Raises:
        Refusal: an unknown cell.
    """
    runs: dict[str, tuple[str, ...]] = {}
    for item in read_csv(FOLDER / "ablation_runs.csv", AblationRun):
        if item.cell not in targets():
            raise Refusal(f"ablation_runs.csv: unknown cell {item.cell!r}")
        runs[item.run] = (*runs.get(item.run, ()), item.cell)
    return runs


def hours(cost: Cost, hardware: Hardware, gpus: int, seeds: int = 1) -> float:
    """Wall-clock hours on `gpus` of them: the slower of network and decoding, plus what only the CPU does."""
    pace = 1.0 if gpus == 1 else gpus * SCALING
    network = cost.forward_images / hardware.forward_images_per_second
    network += cost.train_images / hardware.train_images_per_second + cost.views / hardware.views_per_second
    decoded_per_second = hardware.decoded_images_per_second_per_core * hardware.cores_per_gpu
    # The published pretraining rate has decoding in it already.
    decoding = (cost.forward_images + cost.train_images) / decoded_per_second
    # The published iteration times are those of eight GPUs working together, so their scaling is in them.
    detection = cost.iterations * cost.seconds_per_iteration * GPUS_OF_ITERATION_TIMES * SCALING
    seconds = max(network, decoding) + detection / hardware.detection_speed
    return seeds * (seconds / 3600 / pace + cost.cpu_hours)


def memory_per_gpu(cost: Cost, gpus: int) -> float:
    """GiB that each of `gpus` needs for its share of the protocol's batch."""
    return cost.batch * cost.gpu_gib_per_image / gpus
