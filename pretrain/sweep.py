"""A whole table of ablations: each missing row is pretrained, then judged by its linear probe, into records.

Every piece of work is a command of its own and every piece of state a file of its own, so a sweep that was killed goes
on when the same command is given again, and several machines may share one folder. Imports no torch.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pretrain import torchrun
from pretrain.ablations import Row
from pretrain.card import whole_card
from pretrain.child import INTERRUPTED, call
from pretrain.interrupt import REQUEUE_STATUS
from pretrain.recipes import RECIPES, ROWS
from pretrain.run import Slurm
from pretrain.settings import Recipe
from results.records import Record, read_records
from results.refusal import Refusal
from results.settings import refuse_out_of_range, refuse_wrong_types, settings_hash

Table = Literal["table3", "table4a", "table4b", "table6", "batch_size", "figure2", "demo-ablations"]
LINEAR_TOP1 = "table1/linear/top1"


@dataclass(frozen=True)
class Sweep:
    """The machine's side of a sweep."""

    data: Path = Path("imagenet")
    """Root of ImageNet: train/<class>/<image> and val/<class>/<image>."""
    root: Path = Path("runs")
    """Run folders go to ROOT/pretrain/<recipe>, probes to ROOT/evaluate, records to ROOT/records."""
    seeds: tuple[int, ...] = (0,)
    """One pretraining and one probe of every row for each."""
    only: tuple[str, ...] = ()
    """Rows to run, by the names of their recipes; all when empty."""
    protocol: str = ""
    """Of the probe. Default: linear, and linear-demo for demo-ablations."""
    gpus: int = 1
    """GPUs of this machine for each pretraining and each probe."""
    keep_states: bool = True
    """Keep the optimizer states of finished pretrainings; the backbone file stays in any case."""
    pretrain_args: str = ""
    """Passed on to every pretraining, as "--sweep.pretrain-args=--run.workers 8"."""
    probe_args: str = ""
    """Passed on to every probe, as "--sweep.probe-args=--run.workers 8"."""
    dry_run: bool = False
    """Print what is done and the commands of what is missing, and leave."""

    def __post_init__(self) -> None:
        refuse_wrong_types(self, "sweep")
        refuse_out_of_range(self, "sweep", gpus=(1, 1024))
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise Refusal(f"sweep.seeds is {self.seeds}; give at least one seed of 0 or more, each once")


@dataclass(frozen=True)
class Leg:
    """One pretraining with one seed and the cells that its probe fills. Rows with equal recipes share it."""

    name: str
    recipe: Recipe
    seed: int
    rows: tuple[Row, ...]

    def folder(self, sweep: Sweep) -> Path:
        """The run folder; seed 0 has the one that `python -m pretrain NAME` would use."""
        return sweep.root / "pretrain" / (self.name if self.seed == 0 else f"{self.name}-seed{self.seed}")

    def pretraining(self, sweep: Sweep) -> list[str]:
        """The command that makes the backbone."""
        return [
            *torchrun.command(sweep.gpus), "-m", "pretrain", self.name, "--run.data", str(sweep.data),
            "--run.output", str(self.folder(sweep)), "--run.seed", str(self.seed), *shlex.split(sweep.pretrain_args),
        ]  # fmt: skip

    def probe(self, sweep: Sweep, row: Row) -> list[str]:
        """The command that fills the row's cell; a point of Figure 2 has none and gets a label instead."""
        where = ["--run.cell", row.cell] if row.cell else ["--run.label", row.name]
        return [
            *torchrun.command(sweep.gpus), "-m", "evaluate", protocol_of(sweep, row),
            "--run.checkpoint", str(self.backbone(sweep)), "--run.data", str(sweep.data),
            "--run.output", str(sweep.root / "evaluate"), "--run.records", str(sweep.root / "records"),
            "--run.seed", str(self.seed), *where, *shlex.split(sweep.probe_args),
        ]  # fmt: skip

    def backbone(self, sweep: Sweep) -> Path:
        """The file that the pretraining ends with."""
        return self.folder(sweep) / f"{self.recipe.architecture}.pth"

    def missing(self, sweep: Sweep, records: Iterable[Record]) -> tuple[Row, ...]:
        """The rows without a record of this backbone."""
        card = whole_card(self.backbone(sweep))
        if card is None or "sha256" not in card:
            return self.rows
        here = {
            (record.cell, record.protocol) for record in records
            if record.checkpoint.sha256 == card["sha256"] and record.seed == self.seed
        }  # fmt: skip
        return tuple(row for row in self.rows if (row.cell or LINEAR_TOP1, protocol_of(sweep, row)) not in here)


def protocol_of(sweep: Sweep, row: Row) -> str:
    """The evaluation protocol that judges a row."""
    return sweep.protocol or ("linear-demo" if row.table == "demo-ablations" else "linear")


def legs(table: Table, sweep: Sweep) -> list[Leg]:
    """The pretrainings a table needs, each seed's in the table's order.

    Raises:
        Refusal: `only` names something that is no row of the table.
    """
    rows = [row for row in ROWS if row.table == table]
    if unknown := set(sweep.only) - {row.name for row in rows}:
        names = ", ".join(row.name for row in rows)
        raise Refusal(f"sweep.only: {sorted(unknown)[0]!r} is no row of {table}; its rows are {names}")
    gathered: dict[str, list[Row]] = {}
    for row in rows:
        if not sweep.only or row.name in sweep.only:
            gathered.setdefault(_shared_name(row.recipe), []).append(row)
    return [
        Leg(name, RECIPES[name], seed, tuple(found)) for seed in sweep.seeds for name, found in gathered.items()
    ]  # fmt: skip


def run(table: Table, sweep: Sweep, slurm: Slurm) -> int:
    """Run, or submit, what is missing; a row that fails stops no other.

    Returns 0 when every row has its record (or its job), 1 when one failed, 75 when the sweep was interrupted.
    """
    todo = legs(table, sweep)
    failed: list[str] = []
    for position, leg in enumerate(todo, start=1):
        missing = leg.missing(sweep, read_records(sweep.root / "records")[0])
        said = f"[{position}/{len(todo)}] {leg.name}, seed {leg.seed}"
        print(
            f"{said}: {'done already' if not missing else ', '.join(row.cell or row.name for row in missing)}",
            flush=True,
        )
        if not missing:
            continue
        status = _show(leg, sweep, missing) if sweep.dry_run else _go(leg, sweep, slurm, missing)
        if status in INTERRUPTED:
            print("interrupted; the same command goes on from here", flush=True)
            return REQUEUE_STATUS
        failed += [f"{leg.name}, seed {leg.seed} (status {status})"] if status else []
    for line in failed:
        print(f"failed: {line}", flush=True)
    return int(bool(failed))


def _go(leg: Leg, sweep: Sweep, slurm: Slurm, missing: tuple[Row, ...]) -> int:
    if slurm.nodes:
        from pretrain import cluster
        from pretrain.sweep_job import SweepJob

        # The job has its ranks already; a command starts none of its own.
        alone = replace(sweep, gpus=1)
        commands = (leg.pretraining(alone), *(leg.probe(alone, row) for row in missing))
        return cluster.send(SweepJob(leg.name, leg.folder(sweep), commands), slurm)
    status = call(leg.pretraining(sweep))
    if status:
        return status
    if not sweep.keep_states:
        for state in (leg.folder(sweep) / "checkpoints").glob("step_*"):
            state.unlink()
    for row in missing:
        status = status or call(leg.probe(sweep, row))
    return status


def _show(leg: Leg, sweep: Sweep, missing: tuple[Row, ...]) -> int:
    for command in (leg.pretraining(sweep), *(leg.probe(sweep, row) for row in missing)):
        print("    " + shlex.join(command))
    return 0


def _shared_name(recipe: Recipe) -> str:
    """The first recipe that has these settings, so that a row which is another one's double is not trained twice."""
    wanted = settings_hash(recipe)
    return next(name for name, found in RECIPES.items() if settings_hash(found) == wanted)
