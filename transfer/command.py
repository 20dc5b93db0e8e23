"""What every transfer command does around its engine: resolve, skip what is done, work in the run folder, record."""

import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from data.corpus import identify
from data.preflight import look_first
from evaluate.pretraining import pretraining_deviations
from evaluate.weights import ResolvedWeights, resolve, say_if_assumed
from results import atomic
from results.provenance import new_record
from results.records import (
    Measurement,
    Record,
    RecordKey,
    find,
    key_of,
    read_records,
    write_record,
)
from results.repetition import first_unrecorded, note_recorded
from results.settings import canonical_json, deviations, settings_hash
from transfer.job import Job, Outcome
from transfer.run import Run
from transfer.run_folder import open_run_folder


def execute(name: str, named: Any, used: Any, run: Run, measure: Callable[[Job[Any, Any]], Outcome]) -> int:
    """Measure each cell of the protocol that has no record yet; `named` is the instance called `name`, `used` as given.

    Nothing here imports torch: when all is done already, the answer takes a moment.

    Raises:
        Refusal: the checkpoint or the data cannot be used, or the engine failed.
    """
    if run.dry_run:
        print_settings(name, named, used, run)
        return 0
    weights = resolve(run.checkpoint)
    say_if_assumed(weights, run.label)
    checkpoint = weights.identity(run.label)
    dataset = identify(run.data, used.dataset, subset=_subset(run))
    keys = [
        RecordKey(cell, checkpoint.sha256, settings_hash(used), dataset.fingerprint, dataset.subset, run.seed)
        for cell in used.cells
    ]
    found, warnings = read_records(run.records)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    records = _by_engine(found, run)
    missing = [key for key in keys if run.again or not _report_done(find(records, key))]
    if not missing:
        return 0
    atomic.refuse_unwritable(run.records)
    if not run.skip_doctor:
        look_first(name, dataset, run.data, run.output, run.checkpoint)
    folder = _folder(name, keys[0], run, sum(key_of(record) == keys[0] for record in records))
    if getattr(run, "node_rank", 0):
        # One of several machines: the one with rank 0 holds the folder's lock and writes the records.
        measure(Job(name, used, run, checkpoint, dataset, folder))
        return 0
    with open_run_folder(folder, _identity(name, keys[0], run)) as resumed:
        job = Job(name, used, run, checkpoint, dataset, folder, resumed)
        started = time.monotonic()
        outcome = measure(job)
        seconds = time.monotonic() - started
        # Looked at again now that the folder is ours: the command that held it before may have been the same one.
        now = [] if run.again else _by_engine(read_records(run.records)[0], run)
        cells = [key.cell for key in missing if find(now, key) is None]
        for measurement in outcome.measurements:
            if measurement.cell in cells:
                _write(job, named, weights, measurement, outcome, seconds)
        note_recorded(folder)
    return 0


def print_settings(name: str, named: Any, used: Any, run: Run) -> None:
    """Print the protocol, its hash, its deviations from the named one, and the run's settings, as JSON."""
    settings = {
        "protocol": name,
        "hash": settings_hash(used),
        "deviations": deviations(named, used),
        "settings": json.loads(canonical_json(used)),
        "run": json.loads(canonical_json(run)),
    }
    print(json.dumps(settings, indent=1))


def _report_done(record: Record | None) -> bool:
    if record is None:
        return False
    value = f"{record.measurement.value:.2f} {record.measurement.unit}"
    print(f"{record.cell}: done already, {value} ({record.checkpoint.label}, {record.created})")
    return True


def _write(
    job: Job[Any, Any],
    named: Any,
    weights: ResolvedWeights,
    measurement: Measurement,
    outcome: Outcome,
    seconds: float,
) -> None:
    pretraining = pretraining_deviations(weights.card, measurement.cell, job.checkpoint, job.dataset)
    record = new_record(
        measurement,
        checkpoint=job.checkpoint,
        dataset=job.dataset,
        protocol_name=job.protocol_name,
        named_protocol=named,
        used_protocol=job.protocol,
        seed=job.run.seed,
        wall_time_seconds=seconds,
        accelerator=outcome.accelerator,
        attachments=_attach(job, measurement.cell, outcome.attachments),
        resumed=job.resumed,
        extra_deviations=outcome.extra_deviations + pretraining,
    )
    path = write_record(record, job.run.records)
    print(
        f"{measurement.cell}: {measurement.value:.2f} {measurement.unit} on {measurement.sample_count} images ({path})"
    )


def _attach(job: Job[Any, Any], cell: str, attachments: Mapping[str, Path]) -> dict[str, str]:
    """Copy the files beside the records; a name carries the run folder's, so no two runs share one."""
    stored = {}
    for kind, source in attachments.items():
        relative = Path("attachments") / f"{cell.replace('/', '.')}-{job.folder.name}{source.suffix}"
        with atomic.atomic_file(job.run.records / relative) as file, source.open("rb") as content:
            shutil.copyfileobj(content, file)
        stored[kind] = str(relative)
    return stored


def _by_engine(records: Iterable[Record], run: Run) -> list[Record]:
    """The records of the engine that the run names: another engine's number, meant as a check, stands for no cell."""
    engine = getattr(run, "engine", None)
    return [record for record in records if record.measurement.details.get("engine") == engine or engine is None]


def _subset(run: Run) -> str:
    return f"{run.limit} of each split, stratified, seed {run.seed}" if run.limit else ""


def _folder(name: str, key: RecordKey, run: Run, measured: int) -> Path:
    """The run folder; with `run.again` the first, from as many as were `measured`, whose work no record came of."""
    if not run.again:
        return run.output / _folder_name(name, key, run, 0)
    return first_unrecorded(
        run.output / _folder_name(name, key, run, repetition) for repetition in itertools.count(measured)
    )


def _folder_name(name: str, key: RecordKey, run: Run, repetition: int) -> str:
    engine = f"-{run.engine}" if hasattr(run, "engine") else ""
    limit = f"-limit{run.limit}" if run.limit else ""
    repeated = f"-again{repetition}" if repetition else ""
    identity = f"{key.protocol_hash[:8]}-{key.checkpoint_sha256[:12]}-{key.dataset_fingerprint[:8]}"
    return f"{name}{engine}-{identity}-seed{run.seed}{limit}{repeated}"


def _identity(name: str, key: RecordKey, run: Run) -> dict[str, str]:
    return {
        "protocol": name,
        "protocol_hash": key.protocol_hash,
        "checkpoint_sha256": key.checkpoint_sha256,
        "dataset_fingerprint": key.dataset_fingerprint,
        "subset": key.subset,
        "seed": str(run.seed),
        "engine": getattr(run, "engine", ""),
    }
