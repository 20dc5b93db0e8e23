"""From a job to its outcome: the part of a command that needs torch."""

import sys
import time
from typing import Any

import torch
from torch import nn

from data.listing import ImageList, list_images
from evaluate.checkpoint import load_backbone
from evaluate.features import FeatureKey, FeatureStore, cached_features
from evaluate.job import Job, Outcome
from evaluate.neighbours import Vote, all_votes
from evaluate.predictions import write_predictions
from evaluate.probe import FINAL_PREDICTIONS, ProbeTraining, best_predictions
from evaluate.protocols import Knn, Probe
from evaluate.trunk import loaded_trunk, state_digest
from pretrain.distributed import World, gather_objects
from results.records import Measurement
from results.refusal import Refusal

OTHER_METHODS = ("Barlow Twins", "MoCo v2", "MoCo v1", "SwAV", "SimSiam", "DINO", "PyContrast", "PCL")
"""How `formats` begins the names of layouts that are one method's own, but not VICReg's."""


def measure(job: Job, world: World) -> Outcome:
    """Do what `job.protocol` says; every rank calls this, and every rank gets the same outcome.

    Raises:
        Refusal: the weights or the images cannot be used.
    """
    _exact_float32()
    backbone = load_backbone(job.weights)
    _refuse_another_method(job, backbone.source)
    if world.is_first:
        _say(f"{job.weights.origin}: {backbone.source}, SHA-256 {job.weights.sha256[:12]}…")
        for warning in backbone.warnings:
            _say(f"warning: {warning}")
    trunk = loaded_trunk(backbone.state_dict, world.device)
    train, val = (
        list_images(job.run.data, job.protocol.dataset, split, limit=job.run.limit, seed=job.run.seed)
        for split in ("train", "val")
    )
    if isinstance(job.protocol, Probe):
        return _measure_probe(job, job.protocol, trunk, train, val, world)
    return _measure_knn(job, job.protocol, trunk, train, val, world)


def _measure_probe(
    job: Job, protocol: Probe, trunk: nn.Module, train: ImageList, val: ImageList, world: World
) -> Outcome:
    before = state_digest(trunk)
    training = ProbeTraining(job, trunk, train, val, world)
    history = training.run()
    after = state_digest(trunk)
    if not protocol.fine_tunes and after != before:
        raise AssertionError(f"the frozen trunk changed during training: {before} became {after}")
    measurements, predictions = [], {}
    for cell in protocol.cells:
        metric = cell.rsplit("/", 1)[1]
        final, best = history[-1][metric], max(entry[metric] for entry in history)
        details = {
            "reported": protocol.reported,
            "best_epoch": next(entry["epoch"] for entry in history if entry[metric] == best),
            "by_epoch": [entry[metric] for entry in history],
            "heads": _heads(history, metric),
            "train_images": len(train.paths),
            "steps_per_epoch": training.plan.steps_per_epoch,
            "ranks": world.size,
            **({} if protocol.fine_tunes else {"trunk_sha256_before": before, "trunk_sha256_after": after}),
        }
        value = final if protocol.reported == "final" else best
        measurements.append(Measurement(cell, value, len(val.paths), final=final, best=best, details=details))
        predictions[cell] = FINAL_PREDICTIONS if protocol.reported == "final" else best_predictions(metric)
    return Outcome(
        tuple(measurements),
        predictions,
        seconds=training.position.seconds,
        accelerator=_accelerator(world),
        resumed=training.resumed,
        log="log.jsonl",
        extra_deviations=job.run.deviations,
    )


def _heads(history: list[dict[str, Any]], metric: str) -> list[dict[str, float]]:
    """Final and best of every head; the first is the cell's."""
    by_head = zip(*(entry["heads"] for entry in history), strict=True)
    return [
        {
            "learning_rate": epochs[0]["learning_rate"],
            "final": epochs[-1][metric],
            "best": max(one[metric] for one in epochs),
        }
        for epochs in by_head
    ]


def _measure_knn(job: Job, protocol: Knn, trunk: nn.Module, train: ImageList, val: ImageList, world: World) -> Outcome:
    started = time.monotonic()
    bank, queries = (_features(job, protocol, trunk, split, images, world) for split, images in _splits(train, val))
    votes = all_votes(protocol, bank, queries, train, val, job.run.memory_mb, world)
    measurements, predictions = [], {}
    for cell in protocol.cells:
        k = int(cell.split("knn_")[1].split("/")[0])
        chosen = next(one for one in votes if (one.k, one.temperature) == (k, protocol.temperature))
        name = f"predictions-knn_{k}.npz"
        if world.is_first:
            write_predictions(job.folder / name, chosen.predictions)
        measurements.append(_knn_measurement(cell, chosen, votes, len(train.paths), world))
        predictions[cell] = name
    return Outcome(
        tuple(measurements),
        predictions,
        seconds=time.monotonic() - started,
        accelerator=_accelerator(world),
        extra_deviations=job.run.deviations,
    )


def _knn_measurement(cell: str, chosen: Vote, votes: list[Vote], bank_size: int, world: World) -> Measurement:
    details = {"votes": [one.numbers() for one in votes], "bank_images": bank_size, "ranks": world.size}
    return Measurement(
        cell, chosen.predictions.accuracy(1), len(chosen.predictions.labels), details={**details, **_first(chosen)}
    )


def _first(chosen: Vote) -> dict[str, float]:
    return {"top5": chosen.predictions.accuracy(5)}


def _splits(train: ImageList, val: ImageList) -> list[tuple[str, ImageList]]:
    return [("train", train), ("val", val)]


def _features(job: Job, protocol: Knn, trunk: nn.Module, split: str, images: ImageList, world: World) -> FeatureStore:
    key = FeatureKey(
        job.weights.sha256, protocol.test_view, job.run.precision, job.dataset.fingerprint, split, job.subset
    )
    return cached_features(key, images.paths, trunk, root=job.run.output, world=world, workers=job.run.workers)


def _refuse_another_method(job: Job, source: str) -> None:
    """A file that names no row is taken for the method's, unless its layout says whose it is."""
    found = next((method for method in OTHER_METHODS if source.startswith(method)), None)
    if found and job.weights.label_assumed and not job.run.label:
        raise Refusal(f"{job.weights.path} looks like {found}'s ({source}); give --run.label, as '{found}'")


def _exact_float32() -> None:
    # A float32 convolution may otherwise round its inputs to TF32's 10 bits on recent GPUs.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def _accelerator(world: World) -> str:
    names = gather_objects(torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else "")
    if not names[0]:
        return ""
    return f"{len(names)} x {names[0]}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
