"""Detectron2 as an engine of this room: started in a process of its own, watched, and its numbers brought home.

Torch-free: the process that shows the progress bar and writes the records loads neither torch nor Detectron2.
"""

import os
import sys
from contextlib import closing
from pathlib import Path

from results import sealed
from results.refusal import Refusal
from transfer.detection_protocols import PROTOCOLS, DetectionProtocol
from transfer.detection_run import DetectionRun
from transfer.engines import detectron2_measurements as measurements
from transfer.engines import detectron2_progress as progress
from transfer.engines.child import follow
from transfer.engines.detectron2_task import (
    LOG_FILE,
    METRICS_FILE,
    PROOF_FILE,
    REFUSAL_FILE,
    RESULTS_FILE,
    Task,
    write_task,
)
from transfer.job import Job, Outcome


def measure(job: Job[DetectionProtocol, DetectionRun]) -> Outcome:
    """Fine-tune and evaluate the detector of `job`, or take its results from the run folder where they are kept.

    On the second and further of several machines the outcome is empty: the numbers are the first one's.

    Raises:
        Refusal: the batch was changed without the learning rate, the engine refused its input, or it failed.
    """
    check_batch(PROTOCOLS[job.protocol_name], job.protocol)
    task = _task(job)
    if task.node_rank:
        if not sealed.is_whole_json(task.file(RESULTS_FILE)):
            task.file(".").mkdir(parents=True, exist_ok=True)
            _run(task, job.protocol_name)
        return Outcome(())
    if not all(_is_whole(task.file(name)) for name in (PROOF_FILE, RESULTS_FILE)):
        _run(task, job.protocol_name)
    return measurements.outcome(task)


def _is_whole(path: Path) -> bool:
    """Whether this file of a finished run is as it was written; a damaged one is named, and made anew."""
    if not path.exists():
        return False
    try:
        sealed.read_json(path)
    except Refusal as refusal:
        print(f"warning: {refusal}; measuring anew from the last checkpoint", file=sys.stderr)
        path.unlink()
        return False
    return True


def check_batch(named: DetectionProtocol, used: DetectionProtocol) -> None:
    """A batch of another size needs another learning rate: at the old one a user lost 5 AP (DenseCL issue 6).

    Raises:
        Refusal: only the batch size was changed.
    """
    if used.images_per_batch == named.images_per_batch or used.base_lr != named.base_lr:
        return
    scaled = named.base_lr * used.images_per_batch / named.images_per_batch
    remedy = f"set protocol.base_lr too (linear scaling gives {scaled:g})"
    if named.images_per_batch % used.images_per_batch == 0:
        divisor = named.images_per_batch // used.images_per_batch
        remedy = f"give --protocol.batch-divisor {divisor} instead, which scales learning rate and iterations with it"
    raise Refusal(
        f"protocol.images_per_batch is {used.images_per_batch} instead of {named.images_per_batch}, but "
        f"protocol.base_lr is still {used.base_lr:g}; {remedy}"
    )


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
    """Run the engine's process to its end, showing how far it is.

    Raises:
        Refusal: with the process's own message, or with the end of its log.
    """
    task_file = write_task(task)
    refusal = task.file(task.own_name(REFUSAL_FILE))
    refusal.unlink(missing_ok=True)
    log, total = task.file(task.own_name(LOG_FILE)), task.protocol.effective_iterations
    lines = follow("Detectron2", "transfer.engines.detectron2_process", [str(task_file)], log, _environment())
    try:
        with progress.display(title, total) as shown, closing(lines):
            for line in lines:
                if line.startswith("warning: "):
                    print(line, file=sys.stderr)
                shown.show(progress.newest(task.file(METRICS_FILE)) or progress.Status(0), progress.evaluation(line))
    except Refusal as error:
        if refusal.exists():
            raise Refusal(refusal.read_text(encoding="utf-8")) from None
        if "out of memory" in str(error):
            raise Refusal(f"{error}\na smaller batch needs less: --protocol.batch-divisor 2") from error
        raise


def _environment() -> dict[str, str]:
    # `python -m` finds this suite by PYTHONPATH; the user's own stays behind it.
    paths = [str(Path(__file__).parent.parent.parent), os.environ.get("PYTHONPATH", "")]
    # Threads that wait must sleep: spinning, two runs on the same cores cost each other several times their work.
    waiting = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
    return {"OMP_WAIT_POLICY": waiting, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
