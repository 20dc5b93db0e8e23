"""`python -m results` compares measured records with the paper, explains, reports, plans and reproduces its cells."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from results.records import DEFAULT_FOLDER
from results.refusal import Refusal, run_command_line
from results.usage import deferred, usage_errors_in_one_line


@dataclass(frozen=True)
class DataRoots:
    """The roots of the user's data sets, each in its published layout; a set that is not given is left out."""

    imagenet: Path | None = None
    places205: Path | None = None
    inat18: Path | None = None
    voc: Path | None = None
    coco: Path | None = None

    def given(self) -> dict[str, Path]:
        """The roots that were given, by name."""
        return {name: path for name, path in vars(self).items() if path is not None}


Roots = Annotated[DataRoots, tyro.conf.arg(name="")]


def compare(
    records: Path = DEFAULT_FOLDER,
    format: Literal["terminal", "markdown", "csv", "latex", "json"] = "terminal",
    against: str = "",
    strict: bool = False,
) -> int:
    """Print the difference from the paper, cell by cell.

    Exits with 0 when every measured cell is within its tolerance and with 1 when one is not.

    Args:
        records: the folder of records.
        format: how to print it.
        against: a label ("Barlow Twins") or the first digits of a checkpoint's sha256: adds a paired bootstrap between
            VICReg and it on the same images, where both kept their predictions.
        strict: also exit with 1 when a cell of the paper has not been measured.
    """
    from results.commands import compare_records

    return compare_records(records, format, against, strict)


def reproduce(
    checkpoint: str,
    roots: Roots,
    scale: Literal["paper", "demo", "smoke"] = "paper",
    root: Path = Path("runs"),
    only: tuple[str, ...] = (),
    controls: tuple[str, ...] = (),
    gpus: int = 1,
    dry_run: bool = False,
    skip_doctor: bool = False,
    pass_on: str = "",
    cluster: Literal["none", "slurm", "local"] = "none",
    partition: str = "",
    account: str = "",
) -> int:
    """Measure every cell for one checkpoint; what has a valid record is skipped, and a failure stops nothing else.

    Args:
        checkpoint: a weights file in any public format, or a known name.
        roots: the data sets.
        scale: paper, or the demo's size on the digits corpus below ROOT/digits, or shorter still.
        root: the folder of records, logs and work.
        only: stages to run (knn, voc07, linear, semi-1pct, ...) instead of all.
        controls: further checkpoints to measure beside it, as random-init or torchvision-supervised.
        gpus: GPUs of this machine for each stage.
        dry_run: print the commands and stop.
        skip_doctor: start without looking at data sets, checkpoint, environment, disk and memory first.
        pass_on: settings passed on to every command, as "--run.workers 8".
        cluster: submit one job for each cell through submitit instead of running them here.
        partition: SLURM's partition.
        account: SLURM's account.
    """
    from results.tasks import Request

    request = Request(scale, checkpoint, root, roots.given(), controls, only, gpus, _words(pass_on))
    if cluster != "none":
        from results.cluster import submit_jobs

        return submit_jobs(request, cluster, partition, account, skip_doctor=skip_doctor)
    from results.reproduce import reproduce as run

    return run(request, dry_run=dry_run, skip_doctor=skip_doctor)


def _words(pass_on: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(pass_on))
    except ValueError as error:
        raise Refusal(f"--pass-on {pass_on!r}: {error}; quote it as a shell would") from error


def report(records: Path = DEFAULT_FOLDER, runs: Path = Path("runs"), output: Path = Path("report.html")) -> int:
    """Write one self-contained HTML page: comparison, curves, pictures, discrepancies, provenance.

    Args:
        records: the folder of records.
        runs: a folder below which the pretraining runs' logs are looked for.
        output: the file to write.
    """
    from results.commands import existing, existing_runs
    from results.report.page import write_report

    path = write_report(existing(records), existing_runs(runs), output)
    print(f"{path}: {path.stat().st_size / 2**20:.2f} MiB")
    return 0


def plan(records: Path = DEFAULT_FOLDER, hardware: str = "", gpus: tuple[int, ...] = ()) -> int:
    """Hours, GPU-hours, disk and memory of every cell not yet measured, cheapest evidence first.

    Args:
        records: the folder of records; what they fill is not planned again.
        hardware: v100, a100 or h100 instead of a short probe of this machine.
        gpus: numbers of GPUs to plan for; 1, 8 and 32 unless given.
    """
    from results.plan_text import print_plan

    return print_plan(records, hardware, gpus or (1, 8, 32))


def doctor(roots: Roots, checkpoint: str = "", root: Path = Path("runs")) -> int:
    """Look at data sets, checkpoint, environment, disk and memory before a long run; exit 1 when there is a problem.

    Args:
        roots: the data sets.
        checkpoint: the weights that are to be measured.
        root: where records, logs and work will be written.
    """
    from results.doctor import examine, show

    return show(examine(roots.given(), checkpoint, root))


def explain(
    cell: Annotated[str, tyro.conf.Positional], records: Path = DEFAULT_FOLDER, delta: float | None = None
) -> int:
    """How a cell is measured, from which sources, what is open, what others got, and the likely causes of a difference.

    Args:
        cell: its name, as table2/voc07/mAP.
        records: the folder of records; a measured difference is taken from there.
        delta: ask about this difference (ours minus the paper's) instead.
    """
    from results.commands import explain_cell

    return explain_cell(cell, records, delta)


def claims(records: Path = DEFAULT_FOLDER, runs: Path = Path("runs")) -> int:
    """Print, as Markdown, which of the paper's claims about its ablations hold for the runs measured so far.

    Args:
        records: the folder of records.
        runs: a folder below which the ablations' run folders are looked for.
    """
    from results.commands import print_claims

    return print_claims(records, runs)


def cells() -> int:
    """List every cell of the paper's tables with its number and tolerance."""
    from results.commands import list_cells

    return list_cells()


COMMANDS: dict[str, Callable[..., int]] = {
    command.__name__: command for command in (compare, reproduce, report, plan, explain, doctor, claims, cells)
}


def main() -> int:
    """Read the command line and run the chosen subcommand."""
    commands = {name: deferred(command) for name, command in COMMANDS.items()}
    with usage_errors_in_one_line():
        command: Callable[[], int] = tyro.extras.subcommand_cli_from_dict(
            commands, prog="python -m results", description=__doc__
        )
    return command()


if __name__ == "__main__":
    run_command_line(main)
