"""Submits a pretraining as a job that puts itself back into the queue until it is done.

SLURM warns a job with SIGUSR2 before it is preempted or its time is up. Our handler asks the loop to save at the next
step; then submitit's handler, which was there before, requeues the job (see `pretrain.interrupt`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import submitit

from pretrain.run import Run, Slurm, output_folder
from pretrain.settings import Recipe
from results.refusal import Refusal

MOST_REQUEUES = 10_000
SECONDS_OF_WARNING = 180
"""How long before the end SLURM warns: enough for a step and a checkpoint."""


class Sendable(Protocol):
    """What can be sent: called on every rank, it returns an exit status; submitit asks its `checkpoint` to requeue."""

    @property
    def name(self) -> str:
        """What the queue shows."""

    @property
    def folder(self) -> Path:
        """Where its files go."""

    def __call__(self) -> int:
        """Do the work on this rank."""


@dataclass(frozen=True)
class Job:
    """One pretraining as a thing that can be sent to a cluster, called there on every rank, and sent again."""

    name: str
    recipe: Recipe
    run: Run

    @property
    def folder(self) -> Path:
        """The run folder."""
        return output_folder(self.run, self.name)

    def __call__(self) -> int:
        """Train on this rank of the job; returns the exit status."""
        from pretrain.launch import train_here

        # Every rank keeps seeing all GPUs of its node and takes the one of its local rank.
        submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        return train_here(self.name, self.recipe, self.run)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What to requeue: the same job, which goes on from its folder's last state."""
        return submitit.helpers.DelayedSubmission(self)


def submit(name: str, recipe: Recipe, run: Run, slurm: Slurm) -> int:
    """Send a pretraining to SLURM, as `send` does."""
    return send(Job(name, recipe, run), slurm)


def send(job: Sendable, slurm: Slurm) -> int:
    """Send the job to SLURM and return at once, or run it through the local executor to its end.

    Raises:
        Refusal: there is no SLURM here, or the local executor was given several nodes.
    """
    if slurm.executor == "local":
        return _run_locally(job, slurm)
    try:
        executor = submitit.SlurmExecutor(folder=_folder(job), max_num_timeout=MOST_REQUEUES)
    except RuntimeError as error:
        raise Refusal(f"slurm.nodes is {slurm.nodes}, but {error}; drop --slurm.* to run here") from error
    executor.update_parameters(**_slurm_parameters(job.name, slurm))
    submitted = executor.submit(job)
    print(f"submitted job {submitted.job_id}; logs in {_folder(job)}")
    return 0


def _run_locally(job: Sendable, slurm: Slurm) -> int:
    if slurm.nodes != 1:
        raise Refusal(f'slurm.executor is "local" and slurm.nodes is {slurm.nodes}; one machine is one node')
    submitted = local_executor(job, slurm).submit(job)
    try:
        return int(max(submitted.results()))
    except KeyboardInterrupt:
        submitted.cancel()
        raise


def local_executor(job: Sendable, slurm: Slurm) -> Any:
    """One task per GPU (or one) on this machine; a job that asks for the queue is started again, up to six times."""
    executor = submitit.LocalExecutor(folder=_folder(job), max_num_timeout=MOST_REQUEUES)
    tasks = max(1, slurm.gpus_per_node)
    executor.update_parameters(tasks_per_node=tasks, gpus_per_node=slurm.gpus_per_node, timeout_min=60 * slurm.hours)
    return executor


def _slurm_parameters(name: str, slurm: Slurm) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "job_name": f"pretrain-{name}",
        "nodes": slurm.nodes,
        "ntasks_per_node": max(1, slurm.gpus_per_node),
        "gpus_per_node": slurm.gpus_per_node,
        "cpus_per_task": slurm.cpus_per_gpu,
        "time": round(60 * slurm.hours),
        "signal_delay_s": SECONDS_OF_WARNING,
    }
    optional = {"partition": slurm.partition, "account": slurm.account}
    parameters |= {key: value for key, value in optional.items() if value}
    if slurm.memory_gb_per_node:
        parameters["mem"] = f"{slurm.memory_gb_per_node}GB"
    return parameters


def _folder(job: Sendable) -> str:
    return str(job.folder / "submitit")
