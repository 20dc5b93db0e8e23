"""The job that goes to a cluster, run through submitit's local executor: preempted, requeued, finished."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import ranks
import small
import submitit

from pretrain import cluster, launch, sweep_job
from pretrain.run import Run, Slurm
from results.refusal import Refusal


def job(images: Path, folder: Path) -> cluster.Job:
    run = Run(
        data=images, output=folder, device="cpu", workers=0, threads=1, precision="float32", tensorboard=False,
        log_every_steps=1,
    )  # fmt: skip
    return cluster.Job("demo", small.RECIPE, run)


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize("tasks", [1, 2])
def test_a_preempted_job_saves_asks_for_the_queue_and_goes_on_bit_identically(
    tasks: int, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setenv("PYTHONPATH", str(ranks.ROOT))
    whole, struck = tmp_path / "whole", tmp_path / "struck"
    assert start(job(images, whole), tasks).results() == [0] * tasks
    first = start(job(images, struck), tasks)
    wait_for(struck / "log.jsonl", '"step": 0, "epoch"')
    subprocess.run(["pkill", "-USR2", "-P", str(first.job_id)], check=True)
    assert first.results() == [0] * tasks
    events = [
        line["event"] for line in map(json.loads, (struck / "log.jsonl").read_text().splitlines()) if "event" in line
    ]
    assert events == ["start", "interrupted", "resume", "done"]
    assert small.digest(struck / "resnet50.pth") == small.digest(whole / "resnet50.pth")


def start(task: cluster.Job, tasks: int) -> submitit.LocalJob:  # type: ignore[type-arg]
    return cluster.local_executor(task, Slurm(nodes=1, gpus_per_node=tasks, executor="local")).submit(task)


def wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 120
    while not (path.is_file() and text in path.read_text()):
        assert time.monotonic() < deadline, f"{text} never came in {path}"
        time.sleep(0.05)


@pytest.mark.slow
def test_the_command_line_runs_the_same_job_locally(images: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "pretrain", "demo", "--run.data", str(images), "--run.output", str(tmp_path / "run"),
            *small.OPTIONS, "--slurm.nodes", "1", "--slurm.gpus-per-node", "0", "--slurm.executor", "local",
        ],
        env=ranks.environment(0, 1, 0), cwd=ranks.ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "resnet50.pth").exists()


def test_a_requeued_job_is_the_same_job(images: Path, tmp_path: Path) -> None:
    task = job(images, tmp_path)
    assert task.checkpoint().function == task


@pytest.mark.parametrize("swept", [False, True], ids=["a pretraining", "a sweep's row"])
def test_a_rank_keeps_seeing_every_gpu_of_its_node(
    swept: bool, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = SimpleNamespace(hostnames=["a"], job_id="1", global_rank=3, num_tasks=4, local_rank=3, num_nodes=1)
    monkeypatch.setattr(submitit.helpers, "JobEnvironment", lambda: place)
    # A copy, because the job writes into it.
    monkeypatch.setattr(os, "environ", {"CUDA_VISIBLE_DEVICES": "0,1,2,3"})
    monkeypatch.setattr(launch, "train_here", lambda *_: 0)
    monkeypatch.setattr(sweep_job, "call", lambda *_: 0)
    task = sweep_job.SweepJob("demo", tmp_path, (["true"],)) if swept else job(images, tmp_path)
    assert task() == 0
    assert (os.environ["LOCAL_RANK"], os.environ["CUDA_VISIBLE_DEVICES"]) == ("3", "0,1,2,3")


def test_parameters_reach_slurm_in_its_own_words() -> None:
    slurm = Slurm(nodes=4, gpus_per_node=8, hours=1.5, partition="long", memory_gb_per_node=400)
    assert cluster._slurm_parameters("paper", slurm) == {
        "job_name": "pretrain-paper", "nodes": 4, "ntasks_per_node": 8, "gpus_per_node": 8, "cpus_per_task": 12,
        "time": 90, "signal_delay_s": 180, "partition": "long", "mem": "400GB",
    }  # fmt: skip


def test_a_machine_without_slurm_says_so(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refusal, match=r"slurm\.nodes is 2.*drop --slurm"):
        cluster.submit("demo", small.RECIPE, job(images, tmp_path).run, Slurm(nodes=2))


def test_the_local_executor_is_one_node(images: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="one machine is one node"):
        cluster.submit("demo", small.RECIPE, job(images, tmp_path).run, Slurm(nodes=2, executor="local"))
