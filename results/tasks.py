"""What `reproduce` has to run: one task for each stage, checkpoint and seed, with its command line."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.costs import costs, hours, known_hardware
from results.plan import ordered_stages as cheapest_first
from results.records import Record
from results.refusal import Refusal
from results.stages import DIGITS_FOLDERS, STAGES, Scale, Stage

RANDOM_INIT = "random-init"
REFERENCE = known_hardware()["a100"]
SMOKE_LIMIT = 64


@dataclass(frozen=True)
class Task:
    """One command of another room for one checkpoint and seed; `data` is None where its data set was not given."""

    stage: Stage
    protocol: str
    checkpoint: str
    seed: int
    data: Path | None
    command: tuple[str, ...]
    expected_seconds: float

    @property
    def name(self) -> str:
        """What the progress lines call it, as "linear-demo random-init"."""
        checkpoint = self.checkpoint if self.checkpoint == RANDOM_INIT else Path(self.checkpoint).name
        return f"{self.protocol} {checkpoint}" + (f" seed {self.seed}" if len(self.stage.seeds) > 1 else "")

    @property
    def file_name(self) -> str:
        """A name for its log."""
        return "".join(c if c.isalnum() or c in "-." else "-" for c in f"{self.name}-{_short(self.checkpoint)}")


@dataclass(frozen=True)
class Request:
    """What the user asked `reproduce` to do."""

    scale: Scale
    checkpoint: str
    root: Path
    roots: Mapping[str, Path]
    controls: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    gpus: int = 1
    extra: tuple[str, ...] = ()

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return self.root / "records"

    def on_digits(self, stage: Stage) -> bool:
        """Whether a stage runs at the demo's size: always in the demo, and in a smoke run without real data."""
        return self.scale == "demo" or (self.scale == "smoke" and stage.source not in self.roots)


def tasks_of(request: Request) -> list[Task]:
    """Every task in the order of `STAGES`, the checkpoint's before the controls'.

    Raises:
        Refusal: `only` names something that is no stage.
    """
    names = [stage.protocol for stage in STAGES]
    if unknown := set(request.only) - set(names):
        raise Refusal(f"--only {sorted(unknown)[0]!r} is no stage; the stages are {', '.join(names)}")
    tasks = []
    for stage in ordered_stages(request):
        if request.only and stage.protocol not in request.only:
            continue
        for checkpoint in _checkpoints(request, stage):
            seeds = stage.seeds if request.scale == "paper" else stage.seeds[:1]
            tasks += [_task(request, stage, checkpoint, seed) for seed in seeds]
    return tasks


def ordered_stages(request: Request) -> list[Stage]:
    """The plan's order: cheapest evidence first, at the paper's size by published figures, at the demo's by its own."""
    if request.scale == "paper":
        return cheapest_first(REFERENCE)
    return sorted(STAGES, key=lambda stage: stage.demo_seconds)


def records_of(task: Task, records: Sequence[Record], digest: str) -> tuple[Record, ...]:
    """The records that this task has written, judged by what is known without asking its room.

    `digest` is the sha256 that records of its checkpoint carry.
    """
    return tuple(
        record
        for record in records
        if record.cell in task.stage.cells
        and record.checkpoint.sha256 == digest
        and record.protocol == task.protocol
        and record.seed == task.seed
    )


def seems_done(task: Task, records: Sequence[Record], digest: str) -> bool:
    """Whether every cell of the task has such a record; the room's own command knows for certain."""
    return set(task.stage.cells) <= {record.cell for record in records_of(task, records, digest)}


def checkpoint_digest(checkpoint: str) -> str:
    """The sha256 that records of this checkpoint carry; for a known name, which no file here answers to, the name's.

    Raises:
        Refusal: a path that does not exist.
    """
    path = Path(checkpoint)
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if path.suffix or len(path.parts) > 1:
        raise Refusal(f"{path} does not exist; give a checkpoint file or a known name such as {RANDOM_INIT}")
    return hashlib.sha256(checkpoint.encode()).hexdigest()


def _checkpoints(request: Request, stage: Stage) -> tuple[str, ...]:
    controls = request.controls
    if request.scale != "paper" and stage.control:
        controls = (RANDOM_INIT, *controls)
    return tuple(dict.fromkeys((request.checkpoint, *controls)))


def _task(request: Request, stage: Stage, checkpoint: str, seed: int) -> Task:
    demo = request.on_digits(stage)
    data = request.root / "digits" / DIGITS_FOLDERS[stage.source] if demo else request.roots.get(stage.source)
    protocol = stage.protocol_at(demo=demo)
    command = [
        *_launcher(request, stage), protocol, "--run.checkpoint", checkpoint, "--run.data", str(data),
        "--run.records", str(request.records), "--run.output", str(request.root / stage.room),
        "--run.seed", str(seed),
    ]  # fmt: skip
    if request.scale == "smoke":
        command += stage.smoke_overrides if demo else ("--run.limit", str(SMOKE_LIMIT), *_real_smoke(stage))
    if stage.room == "transfer" and request.gpus > 1:
        command += ["--run.gpus", str(request.gpus)]
    seconds = stage.demo_seconds if demo else 3600 * hours(costs()[stage.protocol], REFERENCE, max(1, request.gpus))
    return Task(stage, protocol, checkpoint, seed, data, (*command, *request.extra), seconds)


def _real_smoke(stage: Stage) -> tuple[str, ...]:
    # kNN has neither epochs nor iterations to cut, and its limit alone makes it short.
    return () if stage.protocol == "knn" else stage.smoke_overrides


def _launcher(request: Request, stage: Stage) -> list[str]:
    if stage.room == "evaluate" and request.gpus > 1:
        ranks = ["--standalone", "--nproc-per-node", str(request.gpus)]
        return [sys.executable, "-m", "torch.distributed.run", *ranks, "-m", stage.room]
    return [sys.executable, "-m", stage.room]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
