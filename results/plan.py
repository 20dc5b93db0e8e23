"""What is not measured yet, what it costs on 1, 8, ... GPUs, and the cheapest order in which evidence grows."""

from collections.abc import Sequence
from dataclasses import dataclass

from results.compare import Comparison
from results.costs import Cost, Hardware, ablation_runs, costs, hours, memory_per_gpu
from results.stages import STAGES, Stage

PROBE_STAGE = "linear"


@dataclass(frozen=True)
class Step:
    """One run that fills `cells`: its hours for each number of GPUs asked for, and its needs.

    `kind` is "checkpoint" for stages that need a checkpoint only, "pretraining" for those that make one first.
    """

    name: str
    kind: str
    cells: tuple[str, ...]
    seeds: int
    hours: tuple[float, ...]
    gpu_hours: float
    data_gib: float
    work_gib: float
    gpu_gib: tuple[float, ...]

    @property
    def cost_per_cell(self) -> float:
        """GPU-hours for each cell it fills."""
        return self.gpu_hours / len(self.cells)


def plan(comparison: Comparison, hardware: Hardware, gpu_counts: Sequence[int]) -> list[Step]:
    """Every step whose cells are not all filled, cheapest evidence first; pretraining after what needs none."""
    missing = set(comparison.missing())
    steps = [_measuring(stage, hardware, gpu_counts, missing) for stage in STAGES if missing & set(stage.cells)]
    steps += [
        _pretraining(run, tuple(cell for cell in cells if cell in missing), hardware, gpu_counts)
        for run, cells in ablation_runs().items()
        if missing & set(cells)
    ]
    return sorted(steps, key=lambda step: (step.kind != "checkpoint", step.cost_per_cell))


def ordered_stages(hardware: Hardware) -> list[Stage]:
    """The stages in the order in which a plan for nothing measured yet would run them."""
    return sorted(
        STAGES, key=lambda stage: hours(costs()[stage.protocol], hardware, 1, len(stage.seeds)) / len(stage.cells)
    )


def _measuring(stage: Stage, hardware: Hardware, gpu_counts: Sequence[int], missing: set[str]) -> Step:
    cells = tuple(cell for cell in stage.cells if cell in missing)
    return _step(stage.protocol, "checkpoint", cells, [costs()[stage.protocol]], hardware, gpu_counts, len(stage.seeds))


def _pretraining(run: str, cells: tuple[str, ...], hardware: Hardware, gpu_counts: Sequence[int]) -> Step:
    # 100 epochs of pretraining, then the linear probe of its checkpoint.
    parts = [costs()["pretrain-100"], costs()[PROBE_STAGE]]
    return _step(run, "pretraining", cells, parts, hardware, gpu_counts, 1)


def _step(
    name: str, kind: str, cells: tuple[str, ...], parts: Sequence[Cost], hardware: Hardware,
    gpu_counts: Sequence[int], seeds: int,
) -> Step:  # fmt: skip
    return Step(
        name, kind, cells, seeds,
        tuple(sum(hours(part, hardware, gpus, seeds) for part in parts) for gpus in gpu_counts),
        sum(hours(part, hardware, 1, seeds) for part in parts),
        max(part.data_gib for part in parts),
        sum(part.work_gib for part in parts) * seeds,
        tuple(max(memory_per_gpu(part, gpus) for part in parts) for gpus in gpu_counts),
    )  # fmt: skip
