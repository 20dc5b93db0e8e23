"""What `reproduce` has to run: one task for each stage, checkpoint and seed, with its command line."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.checkpoints import RANDOM_INIT
from results.costs import costs, hours, known_hardware
from results.counting import has_known_hash
from results.plan import ordered_stages as cheapest_first
from results.records import Record
from results.refusal import Refusal
from results.stages import DIGITS_FOLDERS, STAGES, Scale, Stage

REFERENCE = known_hardware()["a100"]
SMOKE_LIMIT = 64
CHANGING = ("--protocol.", "--run.limit", "--run.again")
"""Flags by which a command measures something else than its protocol's number, or measures it anew."""


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
    """Whether every cell of the task surely has its record; in doubt not, for the room itself skips what is done.

    A command with settings of its own is always in doubt, and so is a record on a part of the data, on other data than
    the task's, or with other settings than the named protocol's.
    """
    if any(word.startswith(CHANGING) for word in task.command):
        return False
    corpus = "digits" if task.protocol.endswith("-demo") else "official"
    whole = {
        record.cell
        for record in records_of(task, records, digest)
        if record.dataset.corpus == corpus
        and not record.dataset.subset
        and not record.protocol_deviations
        and has_known_hash(task.protocol, record.protocol_hash)
    }
    return set(task.stage.cells) <= whole


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
        "--run.seed", str(seed), "--run.skip-doctor",
    ]  # fmt: skip
    if request.scale == "smoke":
        command += stage.smoke_overrides if demo else ("--run.limit", str(SMOKE_LIMIT), *_real_smoke(stage))
    # Without a word the engines take every GPU; a demo may have them, for on most machines there are none to ask for.
    if stage.room == "transfer" and (request.scale == "paper" or request.gpus > 1):
        command += ["--run.gpus", str(request.gpus)]
    seconds = stage.demo_seconds if demo else 3600 * hours(costs()[stage.protocol], REFERENCE, max(1, request.gpus))
    return Task(stage, protocol, checkpoint, seed, data, (*command, *request.extra), seconds)


def _real_smoke(stage: Stage) -> tuple[str, ...]:
    # kNN has neither epochs nor iterations to cut, and its limit alone makes it short.
    return () if stage.protocol == "knn" else stage.smoke_overrides


def _launcher(request: Request, stage: Stage) -> list[str]:
    # The transfer room's engines start ranks of their own.
    several = stage.room == "evaluate" and request.gpus > 1
    ranks = ["-m", "pretrain.torchrun", "--nproc-per-node", str(request.gpus)] if several else []
    return [sys.executable, *ranks, "-m", stage.room]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
