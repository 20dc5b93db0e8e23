"""VOC07 classification: frozen features once, then one SVM per class, by this suite's trainer or by VISSL's."""

import itertools
import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data import voc
from data.progress import track
from data.subset import with_each_class
from evaluate.checkpoint import Backbone, load_with_warnings
from evaluate.features import FeatureKey, cached_features
from evaluate.images import SquashView
from evaluate.protocols import CenterView
from evaluate.trunk import loaded_trunk
from pretrain.distributed import joined_world
from results.records import Measurement
from results.refusal import Refusal
from results.settings import settings_hash
from transfer.engines.child import follow
from transfer.job import Job, Outcome
from transfer.probe_heads import PooledTrunk
from transfer.protocols import VOC07, SvmProtocol
from transfer.run import SvmRun
from transfer.svm_files import ClassResult, SvmSettings, read_results, read_settings, write_input

SPLITS = {"train": "trainval", "test": "test"}
FIXED_SETTINGS = {
    "native": ("max_iterations",),
    "vissl": ("positive_weight", "negative_weight", "tolerance", "norm_epsilon"),
}
"""Settings that an engine's own code does not take: LIBLINEAR stops by itself, VISSL has written its numbers down."""
WORKERS = {"native": "transfer.svm", "vissl": "transfer.engines.vissl_svm"}
Labelled = tuple[list[Path], NDArray[np.int32]]
Rows = tuple[NDArray[np.float32], NDArray[np.int32]]


def measure(job: Job[SvmProtocol, SvmRun]) -> Outcome:
    """Extract the features that are not in the cache yet, train what classes are missing, and report mAP.

    Raises:
        Refusal: an image set names an image that is not there, an image cannot be decoded, a class has too few
            positives, or the trainer failed.
    """
    refuse_unheeded(job.protocol, job.run.engine)
    positives = {"train": job.protocol.folds, "test": 1}
    splits = {split: labelled_images(job.run, name, at_least=positives[split]) for split, name in SPLITS.items()}
    backbone = load_with_warnings(job.run.checkpoint)
    rows = {split: _rows(job, split, labelled, backbone) for split, labelled in splits.items()}
    write_input(job.folder, _settings(job.protocol), rows["train"], rows["test"])
    found = _train(job)
    measured = measurement(job.protocol, found, len(splits["test"][0]), job.run.engine)
    return Outcome(measurements=(measured,))


def refuse_unheeded(protocol: SvmProtocol, engine: str) -> None:
    """Raises Refusal where a setting was changed that is written into the engine's own code."""
    for field in FIXED_SETTINGS[engine]:
        value, fixed = getattr(protocol, field), getattr(VOC07, field)
        if value != fixed:
            other = next(name for name in FIXED_SETTINGS if field not in FIXED_SETTINGS[name])
            raise Refusal(f"protocol.{field} is {value}, but engine {engine} always takes {fixed}; {other} heeds it")


def labelled_images(run: SvmRun, image_set: str, *, at_least: int = 1) -> Labelled:
    """Images of a VOC2007 image set and their labels (n, 20): 1 present, 0 absent, -1 only difficult instances.

    A limited run keeps `at_least` images of each class, without which its SVM could not be trained or tested.

    Raises:
        Refusal: the sets are incomplete or name an image that does not exist.
    """
    folder = voc.year_folder(run.data, 2007)
    ids, labels = voc.class_labels(folder, image_set)
    paths = [voc.image_path(folder, image_id) for image_id in ids]
    if missing := [path for path in paths if not path.is_file()]:
        raise Refusal(f"{missing[0]} does not exist, but {image_set} lists it ({len(missing)} such images)")
    kept = with_each_class(labels == 1, run.limit, at_least, run.seed)
    return [paths[index] for index in kept], labels[kept]


def measurement(protocol: SvmProtocol, results: list[ClassResult], sample_count: int, engine: str) -> Measurement:
    """mAP in percent, with every class's AP, chosen cost and cross-validation scores in the details."""
    precisions = [result.average_precision for result in results]
    assert len(results) == len(voc.CLASSES) and all(map(math.isfinite, precisions)), precisions
    value = 100 * float(np.mean(precisions))
    return Measurement(
        cell=protocol.cell,
        value=value,
        sample_count=sample_count,
        final=value,
        details={
            "engine": engine,
            "ap_by_class": {result.name: 100 * result.average_precision for result in results},
            "cost_by_class": {result.name: result.cost for result in results},
            "cross_validation_by_class": {result.name: result.cross_validation for result in results},
            "costs": list(protocol.costs),
        },
    )


def _rows(job: Job[SvmProtocol, SvmRun], split: str, labelled: Labelled, backbone: Backbone) -> Rows:
    paths, labels = labelled
    key = feature_key(job, split)
    with joined_world(job.run.device) as world:
        trunk = loaded_trunk(backbone.state_dict, world.device)
        reader = PooledTrunk(trunk, job.protocol.feature)
        store = cached_features(key, paths, reader, root=job.run.output, world=world, workers=job.run.workers)
    return store.all_rows().numpy(), labels


def feature_key(job: Job[SvmProtocol, SvmRun], split: str) -> FeatureKey:
    """Which cached features the protocol's SVMs are trained on."""
    protocol = job.protocol
    cropped = CenterView(resize=protocol.resize, crop=protocol.image_size)
    squashed = SquashView(protocol.resize, protocol.image_size)
    return FeatureKey(
        checkpoint_sha256=job.checkpoint.sha256,
        view=cropped if protocol.crop == "centre" else squashed,
        precision="float32",
        dataset_fingerprint=job.dataset.fingerprint,
        split=f"voc07-{split}",
        subset=job.dataset.subset,
        layer=settings_hash(protocol.feature),
        dimension=protocol.feature.feature_count(protocol.image_size),
    )


def _settings(protocol: SvmProtocol) -> SvmSettings:
    return SvmSettings(
        classes=voc.CLASSES,
        costs=protocol.costs,
        folds=protocol.folds,
        positive_weight=protocol.positive_weight,
        negative_weight=protocol.negative_weight,
        tolerance=protocol.tolerance,
        max_iterations=protocol.max_iterations,
        norm_epsilon=protocol.norm_epsilon,
    )


def _train(job: Job[SvmProtocol, SvmRun]) -> list[ClassResult]:
    """Run the trainer in a process of its own; each line it prints is a finished class."""
    jobs = len(os.sched_getaffinity(0))
    arguments = [str(job.folder), str(jobs)]
    lines = follow("the SVM trainer", WORKERS[job.run.engine], arguments, job.folder / "svm.log", {})
    finished = (line for line in lines if ": AP " in line)
    first = next(finished, None)  # before the clock of the progress bar starts: the trainer loads its input
    for _ in track(itertools.chain([first], finished), f"SVM {job.protocol_name}", len(voc.CLASSES)):
        pass
    settings = read_settings(job.folder)
    results = read_results(job.folder, settings)
    if missing := [name for name in settings.classes if name not in results]:
        raise Refusal(f"the SVM trainer left {len(missing)} classes out, first {missing[0]}; see {job.folder}/svm.log")
    return list(results.values())
