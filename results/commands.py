"""What the subcommands of `python -m results` do with their arguments; output goes to stdout, warnings to stderr."""

import sys
import typing
from pathlib import Path

from results.against import duels
from results.cluster import Cluster, Executor, submit, wait
from results.compare import compare
from results.costs import known_hardware
from results.explain import explain
from results.formats import Format, render
from results.plan import plan
from results.plan_text import render_plan
from results.probe import free_disk_gib, probe
from results.records import read_records
from results.refusal import Refusal
from results.tables import TITLES, targets, tolerances
from results.tasks import Request, checkpoint_digest, seems_done, tasks_of


def compare_records(folder: Path, form: str, against: str, strict: bool) -> int:
    """Print the comparison of the records in `folder`; the exit status is the comparison's.

    Raises:
        Refusal: an unknown format, or nothing that `against` names.
    """
    if form not in typing.get_args(Format):
        raise Refusal(f"--format is {form!r}; choose one of {', '.join(typing.get_args(Format))}")
    records, warnings = read_records(folder)
    comparison = compare(records, warnings, duels(records, folder, against) if against else ())
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    sys.stdout.write(render(comparison, typing.cast(Format, form)))
    return comparison.status(strict=strict)


def print_plan(folder: Path, name: str, gpu_counts: tuple[int, ...]) -> int:
    """Print the plan for what the records in `folder` do not fill, on named hardware or on this machine.

    Raises:
        Refusal: unknown hardware, a number of GPUs below 1, or a probe that failed.
    """
    if min(gpu_counts) < 1:
        raise Refusal(f"--gpus is {min(gpu_counts)}, expected at least 1")
    if name and name not in known_hardware():
        raise Refusal(f"--hardware is {name!r}; choose one of {', '.join(known_hardware())}, or leave it out to probe")
    records, warnings = read_records(folder)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    hardware = known_hardware()[name] if name else probe()[0]
    steps = plan(compare(records), hardware, gpu_counts)
    sys.stdout.write(render_plan(steps, hardware, gpu_counts, free_disk_gib(folder)))
    return 0


def submit_jobs(request: Request, executor: Executor, partition: str, account: str, *, skip_doctor: bool) -> int:
    """Submit every task that is not done as a job; with the local executor, wait for them and tell how they ended."""
    records, _ = read_records(request.records)
    tasks = tasks_of(request)
    digests = {checkpoint: checkpoint_digest(checkpoint) for checkpoint in {task.checkpoint for task in tasks}}
    waiting = [
        task for task in tasks if task.data is not None and not seems_done(task, records, digests[task.checkpoint])
    ]
    submitted = submit(waiting, request, Cluster(executor, partition, account), skip_doctor=skip_doctor)
    for item in submitted:
        print(f"{item.name}: job {item.job.job_id}{', after ' + ', '.join(item.after) if item.after else ''}")
    failed = wait(submitted) if executor == "local" else []
    for name in failed:
        print(f"failed: {name} (logs in {request.root / 'jobs'})")
    return int(bool(failed))


def explain_cell(cell: str, folder: Path, delta: float | None) -> int:
    """Print what is known about a cell."""
    records, warnings = read_records(folder)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    sys.stdout.write(explain(cell, records, delta))
    return 0


def list_cells() -> int:
    """Print every cell with the paper's number and its tolerance."""
    for table, title in TITLES.items():
        print(title)
        for cell, target in targets().items():
            if target.table == table:
                print(f"  {cell:42} {target.row:42} {target.value:5.1f} ± {tolerances()[cell].tolerance:g}")
    return 0
