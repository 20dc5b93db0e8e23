"""Detectron2 as an engine of this room: started in a process of its own, watched, and its numbers brought home.

Torch-free: the process that shows the progress bar and writes the records loads neither torch nor Detectron2.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from results.refusal import USAGE_STATUS, Refusal
from transfer.detection_protocols import DetectionProtocol
from transfer.detection_run import DetectionRun
from transfer.engines import detectron2_measurements as measurements
from transfer.engines import detectron2_progress as progress
from transfer.engines.detectron2_task import (
    LOG_FILE,
    METRICS_FILE,
    RESULTS_FILE,
    Task,
    write_task,
)
from transfer.job import Job, Outcome

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_TO_END = 10.0
LOG_LINES_SHOWN = 15


def measure(job: Job[DetectionProtocol, DetectionRun]) -> Outcome:
    """Fine-tune and evaluate the detector of `job`, or take its results from the run folder where they are kept.

    Raises:
        Refusal: the batch was changed without the learning rate, the engine refused its input, or it failed.
    """
    task = _task(job)
    if not task.file(RESULTS_FILE).exists():
        _run(task, job.protocol_name)
    return measurements.outcome(task, job.dataset)


def _task(job: Job[DetectionProtocol, DetectionRun]) -> Task:
    run = job.run
    return Task(
        protocol=job.protocol,
        checkpoint=run.checkpoint,
        data=str(run.data.resolve()),
        folder=str(job.folder.resolve()),
        seed=run.seed,
        limit=run.limit,
        workers=run.workers,
        device=run.device,
        processes=run.gpus,
        nodes=run.nodes,
        node_rank=run.node_rank,
        rendezvous=run.rendezvous,
        checkpoint_iterations=run.checkpoint_iterations,
    )


def _run(task: Task, title: str) -> None:
    """Run the engine's process to its end.

    Raises:
        Refusal: with the process's own message, or with the end of its log.
    """
    task_file = write_task(task)
    refusal = task.file("refusal.txt")
    refusal.unlink(missing_ok=True)
    command = [sys.executable, "-m", "transfer.engines.detectron2_process", str(task_file), str(os.getpid())]
    log = task.file(LOG_FILE)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=_root(), env=_environment()
        )
        try:
            status = _watch(process, task, title)
        finally:
            _end(process)
    if status == USAGE_STATUS and refusal.exists():
        raise Refusal(refusal.read_text(encoding="utf-8"))
    if status or not task.file(RESULTS_FILE).exists():
        raise Refusal(f"Detectron2 ended with status {status}; {log} says why, and ends with:\n{_last_lines(log)}")


def _watch(process: "subprocess.Popen[bytes]", task: Task, title: str) -> int:
    total = task.protocol.effective_iterations
    with progress.display(title, total) as shown:
        while (status := process.poll()) is None:
            found = progress.newest(task.file(METRICS_FILE)) or progress.Status(0)
            note = progress.evaluation(task.file(LOG_FILE)) if found.iteration >= total else ""
            shown.show(found, note)
            time.sleep(SECONDS_BETWEEN_LOOKS)
    return status


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Leave no process behind when this one is interrupted."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _root() -> Path:
    return Path(__file__).parent.parent.parent


def _environment() -> dict[str, str]:
    # `python -m` finds this suite by PYTHONPATH; the user's own stays behind it.
    paths = [str(_root()), os.environ.get("PYTHONPATH", "")]
    # Threads that wait must sleep: spinning, two runs on the same cores cost each other several times their work.
    waiting = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
    return {**os.environ, **waiting, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _last_lines(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-LOG_LINES_SHOWN:])
