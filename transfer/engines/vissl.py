"""Linear classifiers trained by VISSL, as the paper did: a job in, its measurement out.

The run folder holds everything VISSL reads and writes: the image lists, the converted weights, the plan, its
checkpoints, its metrics and its log. A second start of the same job finds them and goes on where the first stopped.
"""

import importlib.util
import itertools
import json
import math
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from data.listing import ImageList, list_images
from data.progress import track
from evaluate.checkpoint import load_with_warnings
from results import atomic, sealed
from results.refusal import Refusal
from transfer.convert import write
from transfer.engines import vissl_config
from transfer.engines.child import follow
from transfer.engines.vissl_metrics import (
    METRICS_FILE,
    iterations,
    measurement,
    read_metrics,
    refusing_unreadable,
    unreadable_images,
)
from transfer.engines.whole_checkpoints import for_vissl
from transfer.job import Job, Outcome
from transfer.limits import refuse_lone_image
from transfer.protocols import LinearProtocol
from transfer.run import LinearRun, even_share

WORKER = "transfer.engines.vissl_worker"
PLAN_FILE, PROOF_FILE, LOG_FILE = "plan.json", "proof.json", "vissl.log"


def measure(job: Job[LinearProtocol, LinearRun]) -> Outcome:
    """Train the protocol's heads with VISSL, or finish what an interrupted run left, and read its metrics.

    Raises:
        Refusal: VISSL is not installed, the data or the checkpoint cannot be used, or VISSL failed.
    """
    if importlib.util.find_spec("vissl") is None:
        raise Refusal("VISSL is not installed; run `make setup`, or choose --run.engine native")
    train, val = (_list(job, split) for split in ("train", "val"))
    refuse_lone_image(len(train.paths), job.protocol.global_batch_size)
    machine = _machine(job)
    lists = _write_lists(job.folder, {"train": train, "val": val})
    delta = vissl_config.delta(job.protocol, machine, len(train.classes), lists)
    _write_weights(job, machine.weights)
    plan = {
        "base": vissl_config.BASES[job.protocol.dataset],
        "delta": delta,
        "checkpoint": job.run.checkpoint,
        "threads": _threads(machine),
    }
    atomic.write_text(job.folder / PLAN_FILE, json.dumps(plan, indent=1))
    _train(job, machine, len(train.paths))
    found = measurement(job.protocol, read_metrics(machine.folder), len(val.paths), "vissl")
    proof = sealed.read_json(job.folder / PROOF_FILE)
    details = {**found.details, "conversion": proof}
    return Outcome(
        measurements=(replace(found, details=details),),
        accelerator=_accelerator(machine),
        attachments={"log": machine.folder / METRICS_FILE},
    )


def _list(job: Job[LinearProtocol, LinearRun], split: str) -> ImageList:
    return list_images(job.run.data, job.protocol.dataset, split, limit=job.run.limit, seed=job.run.seed)


def _machine(job: Job[LinearProtocol, LinearRun]) -> vissl_config.Machine:
    """Where VISSL runs.

    Raises:
        Refusal: the run asks for GPUs that are not there, or for a port that is taken.
    """
    gpus = torch.cuda.device_count() if job.run.device != "cpu" else 0
    if job.run.device == "cuda" and not gpus:
        raise Refusal("run.device is cuda, but torch finds no GPU; choose --run.device cpu")
    if job.run.gpus > gpus:
        raise Refusal(f"run.gpus is {job.run.gpus}, but torch finds {gpus}; ask for no more than that")
    if job.run.port:
        _refuse_taken_port(job.run.port)
    return vissl_config.Machine(
        processes=job.run.gpus or even_share(gpus, job.protocol.global_batch_size),
        gpu=gpus > 0,
        workers=job.run.workers,
        folder=job.folder / "vissl",
        weights=job.folder / "weights.torch",
        seed=job.run.seed,
        port=job.run.port,
    )


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("localhost", port))
        except OSError as error:
            raise Refusal(f"run.port {port} cannot be used ({error.strerror}); choose another, or 0 for any") from error


def _threads(machine: vissl_config.Machine) -> int:
    if chosen := os.environ.get("OMP_NUM_THREADS", ""):
        return max(1, int(chosen)) if chosen.isdigit() else 1
    return max(1, len(os.sched_getaffinity(0)) // machine.processes)


def _write_lists(folder: Path, splits: Mapping[str, ImageList]) -> dict[str, Path]:
    """The file lists VISSL reads: absolute paths and labels, one pair of .npy files for each split."""
    files = {}
    for split, listed in splits.items():
        columns = {
            "images": np.array([str(path.absolute()) for path in listed.paths]),
            "labels": np.array(listed.labels, dtype=np.int64),
        }
        for kind, values in columns.items():
            files[f"{split}_{kind}"] = folder / f"{split}_{kind}.npy"
            with atomic.atomic_file(files[f"{split}_{kind}"]) as file:
                np.save(file, values, allow_pickle=False)
    return files


def _write_weights(job: Job[LinearProtocol, LinearRun], weights: Path) -> None:
    if sealed.damage(weights):
        backbone = load_with_warnings(job.run.checkpoint)
        write(backbone.state_dict, "vissl", weights)
        sealed.seal(weights)


def _train(job: Job[LinearProtocol, LinearRun], machine: vissl_config.Machine, train_count: int) -> None:
    """Run VISSL unless its metrics are complete already, and as they were when it ended."""
    metrics = machine.folder / METRICS_FILE
    if is_finished(metrics):
        return
    # VISSL takes a run with a final checkpoint for finished, although the last epoch's test comes after it.
    for final in machine.folder.glob("model_final_checkpoint*"):
        final.unlink()
    _forget_grey_squares(job.folder / LOG_FILE, machine.folder)
    for_vissl(machine.folder)
    total = job.protocol.epochs * math.ceil(train_count / job.protocol.global_batch_size)
    lines = follow("VISSL", WORKER, [str(job.folder)], job.folder / LOG_FILE, _environment(machine))
    events = iterations(refusing_unreadable(lines), total)
    print(f"VISSL starts; its log is {job.folder / LOG_FILE}", flush=True)
    first = next(events)  # before the clock of the progress bar starts: VISSL takes a while to load
    for _ in track(itertools.chain([first], events), f"VISSL {job.protocol_name}", total):
        pass
    if metrics.is_file():
        sealed.seal(metrics)


def _forget_grey_squares(log: Path, folder: Path) -> None:
    """VISSL goes on for a moment before it is stopped, and may save what it learnt from a grey square."""
    if unreadable_images(log):
        print(f"warning: an earlier start met an unreadable image (see {log}); VISSL starts anew", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        log.unlink()


def is_finished(metrics: Path) -> bool:
    """Whether an earlier start ended and left these metrics; where they were damaged since, all of it starts anew."""
    if not metrics.with_name(f"{metrics.name}.sha256").exists():
        return False
    if not (problem := sealed.damage(metrics)):
        return True
    print(f"warning: {problem}; VISSL starts anew", flush=True)
    shutil.rmtree(metrics.parent)
    return False


def _environment(machine: vissl_config.Machine) -> dict[str, str]:
    if machine.gpu:
        return {}
    # Waiting threads that spin steal the core from the one they wait for as soon as anything else runs beside them.
    return {"OMP_NUM_THREADS": str(_threads(machine)), "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}


def _accelerator(machine: vissl_config.Machine) -> str:
    return f"{machine.processes} x {torch.cuda.get_device_name(0)}" if machine.gpu else ""
