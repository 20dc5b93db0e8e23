"""`reproduce` on a cluster: one job for each task through submitit, after a doctor's job and before a reporting one."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from results.checkpoints import checkpoint_digest
from results.commands import read_aloud
from results.refusal import Refusal
from results.tasks import Request, Task, seems_done, tasks_of

Executor = Literal["slurm", "local"]
SLACK = 2.0
"""A job asks for this many times the planned hours, and for an hour at least."""


@dataclass(frozen=True)
class Cluster:
    """Where jobs go. `partition` and `account` are SLURM's, empty for the cluster's default."""

    executor: Executor
    partition: str = ""
    account: str = ""
    cpus_per_gpu: int = 16


@dataclass(frozen=True)
class Submitted:
    """One job: its name, submitit's handle, and the ids of the jobs it waits for."""

    name: str
    job: Any
    after: tuple[str, ...]


def submit_jobs(request: Request, executor: Executor, partition: str, account: str, *, skip_doctor: bool) -> int:
    """Submit every task that is not done as a job; with the local executor, wait for them and tell how they ended."""
    records, _ = read_aloud(request.records)
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


class CommandJob:
    """A job that runs one command line and fails when it fails; what submitit pickles and sends."""

    def __init__(self, command: Sequence[str]) -> None:
        """Keep the command for the node that will run it."""
        self.command = tuple(command)

    def __call__(self) -> int:
        """Run the command with its output in the job's own log."""
        print("$", shlex.join(self.command), flush=True)
        done = subprocess.run(self.command, check=False)
        if done.returncode:
            raise RuntimeError(f"exit status {done.returncode}: {shlex.join(self.command)}")
        return 0


def submit(tasks: Sequence[Task], request: Request, cluster: Cluster, *, skip_doctor: bool) -> list[Submitted]:
    """Submit the doctor, every task once the doctor is content, and the report after all of them.

    A task that fails stops no other, so the report waits for their end, however they end. The local executor knows no
    dependencies and one machine runs one task at a time; there each job is waited for before the next one starts.

    Raises:
        Refusal: submitit is not installed, or SLURM does not take the job.
    """
    first = [] if skip_doctor else [_submit("doctor", _doctor_command(request), 1.0, 0, (), request, cluster)]
    measuring: list[Submitted] = []
    for task in tasks:
        after = tuple(first) if cluster.executor == "slurm" else tuple([*first, *measuring][-1:])
        hours = task.expected_seconds / 3600
        measuring.append(_submit(task.file_name, task.command, hours, request.gpus, after, request, cluster))
    report = _submit("report", _report_command(request), 0.2, 0, tuple(measuring), request, cluster)
    return [*first, *measuring, report]


def wait(submitted: Sequence[Submitted]) -> list[str]:
    """Wait until the jobs have ended; the names of those that failed."""
    return [item.name for item in submitted if item.job.exception() is not None]


def _submit(
    name: str, command: Sequence[str], hours: float, gpus: int, after: tuple[Submitted, ...], request: Request,
    cluster: Cluster,
) -> Submitted:  # fmt: skip
    try:
        import submitit
    except ImportError as error:
        raise Refusal("submitit is not installed; run `make setup`, or leave out --cluster") from error
    ids = tuple(item.job.job_id for item in after)
    executor = submitit.AutoExecutor(folder=request.root / "jobs", cluster=cluster.executor)
    executor.update_parameters(name=name[:60], timeout_min=int(60 * max(1.0, SLACK * hours)))
    if cluster.executor == "slurm":
        executor.update_parameters(**_slurm_parameters(gpus, ids, name == "report", cluster))
    elif after:
        failed = wait(after)
        if "doctor" in failed:
            raise Refusal(f"the doctor found problems; see {request.root / 'jobs'}, or give --skip-doctor")
    try:
        return Submitted(name, executor.submit(CommandJob(command)), ids)
    except Exception as error:  # submitit passes on whatever sbatch says, under several types
        raise Refusal(f"job {name} was not accepted: {str(error).strip().splitlines()[-1]}") from error


def _slurm_parameters(gpus: int, after: tuple[str, ...], whatever_happens: bool, cluster: Cluster) -> dict[str, Any]:
    parameters: dict[str, Any] = {"nodes": 1, "tasks_per_node": 1}
    parameters["cpus_per_task"] = cluster.cpus_per_gpu * max(1, gpus)
    if gpus:
        parameters["gpus_per_node"] = gpus
    if cluster.partition:
        parameters["slurm_partition"] = cluster.partition
    if cluster.account:
        parameters["slurm_account"] = cluster.account
    if after:
        kind = "afterany" if whatever_happens else "afterok"
        # Without the second one a job whose doctor was not content would wait in the queue for ever.
        parameters["slurm_additional_parameters"] = {
            "dependency": f"{kind}:{':'.join(after)}", "kill-on-invalid-dep": "yes",
        }  # fmt: skip
    return parameters


def _doctor_command(request: Request) -> list[str]:
    roots = [word for name, path in request.roots.items() for word in (f"--{name}", str(path))]
    places = ["--checkpoint", request.checkpoint, "--root", str(request.root)]
    return [sys.executable, "-m", "results", "doctor", *places, *roots]


def _report_command(request: Request) -> list[str]:
    places = ["--records", str(request.records), "--runs", str(request.root)]
    return [sys.executable, "-m", "results", "report", *places, "--output", str(request.root / "report.html")]
