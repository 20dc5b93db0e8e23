"""What a command does around the work: resolve, skip what is done, measure, record. Torch-free until work starts."""

import itertools
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.corpus import identify
from data.layouts import layout_of
from data.preflight import look_first
from evaluate.job import Job, Outcome, read_outcome, write_outcome
from evaluate.pretraining import pretraining_deviations
from evaluate.protocols import Probe, Protocol
from evaluate.run import Run
from evaluate.weights import resolve, say_if_assumed
from pretrain.agreement import agreed, carried
from results import atomic
from results.folder_lock import sole_user
from results.provenance import new_record
from results.records import Record, RecordKey, find, key_of, read_records, write_record
from results.refusal import Refusal
from results.repetition import first_unrecorded, note_recorded
from results.settings import canonical_json, deviations, settings_hash

LINEAR_TOP1 = "table1/linear/top1"


def execute(name: str, named: Protocol, protocol: Protocol, run: Run) -> int:
    """Measure each cell of `protocol` that has no record yet; `named` is the instance called `name`, as published.

    Raises:
        Refusal: the weights or the data cannot be used.
    """
    if run.dry_run:
        print(resolved_settings(name, named, protocol, run))
        return 0
    prepared = carried(lambda: _prepare(name, named, protocol, run))
    if isinstance(prepared, Refusal):
        _measure(prepared, run)
    elif prepared.missing:
        outcome = read_outcome(prepared.job.folder)
        if outcome is None:
            _measure(prepared, run)
        elif _rank() == 0:
            with sole_user(prepared.job.folder):
                _record(prepared.job, outcome, prepared.missing)
    return 0


@dataclass(frozen=True)
class Prepared:
    """A job that nothing is known to stand against, and which of its cells have no record."""

    job: Job
    missing: tuple[RecordKey, ...]


def _prepare(name: str, named: Protocol, protocol: Protocol, run: Run) -> Prepared:
    weights = resolve(run.checkpoint)
    say_if_assumed(weights, run.label)
    subset = f"{run.limit} of each split, stratified, seed {run.seed}" if run.limit else ""
    dataset = identify(run.data, protocol.dataset, subset=subset)
    keys = [
        RecordKey(cell, weights.sha256, settings_hash(protocol), dataset.fingerprint, subset, run.seed)
        for cell in _filled_cells(protocol, run).values()
    ]
    found, warnings = read_records(run.records)
    if _rank() == 0:
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
    records = _comparable(found, run)
    missing = tuple(key for key in keys if run.again or not _done(find(records, key), run))
    if missing:
        atomic.refuse_unwritable(run.records)
    if missing and not run.skip_doctor:
        look_first(name, dataset, run.data, run.output, run.checkpoint)
    folder = _folder(name, keys[0], run, sum(key_of(record) == keys[0] for record in records))
    return Prepared(Job(name, named, protocol, run, weights, dataset, folder), missing)


def _measure(prepared: Prepared | Refusal, run: Run) -> None:
    from evaluate.work import measure
    from pretrain.distributed import joined_world

    with joined_world(run.device) as world:
        ready = agreed(prepared, lambda ready: _claims(ready.job))
        job = ready.job
        if not world.is_first:
            measure(job, world)
            return
        with sole_user(job.folder):
            outcome = measure(job, world)
            write_outcome(job.folder, outcome)
            _record(job, outcome, ready.missing)


def _claims(job: Job) -> dict[str, str]:
    """What ranks must have in common, because it moves the result."""
    return {
        "protocol": settings_hash(job.protocol),
        "checkpoint": job.weights.sha256[:16],
        "data set": job.dataset.fingerprint[:16],
        "seed": str(job.run.seed),
        "limit": str(job.run.limit),
        "precision": job.run.precision,
    }


def _record(job: Job, outcome: Outcome, missing: Sequence[RecordKey]) -> None:
    filled = _filled_cells(job.protocol, job.run)
    # Looked at again now that the folder is ours: the command that held it before may have been the same one.
    now = [] if job.run.again else _comparable(read_records(job.run.records)[0], job.run)
    cells = [key.cell for key in missing if find(now, key) is None]
    for measured in outcome.measurements:
        measurement = replace(measured, cell=filled.get(measured.cell, ""))
        if measurement.cell not in cells:
            continue
        checkpoint = job.weights.identity(job.run.label, measurement.cell)
        pretraining = pretraining_deviations(job.weights.card, measurement.cell, checkpoint, job.dataset)
        record = new_record(
            measurement,
            checkpoint=checkpoint,
            dataset=job.dataset,
            protocol_name=job.name,
            named_protocol=job.named,
            used_protocol=job.protocol,
            seed=job.run.seed,
            wall_time_seconds=outcome.seconds,
            accelerator=outcome.accelerator,
            attachments=_attachments(job, outcome, measured.cell, measurement.cell),
            resumed=outcome.resumed,
            extra_deviations=outcome.extra_deviations + pretraining,
        )
        path = write_record(record, job.run.records)
        print(f"{measurement.cell}: {measurement.value:.2f} % on {measurement.sample_count} images ({path})")
    note_recorded(job.folder)


def _filled_cells(protocol: Protocol, run: Run) -> dict[str, str]:
    """Which cell each measured one fills: itself, or with run.cell that ablation's alone.

    Raises:
        Refusal: run.cell with another protocol than the linear probe, by which ablations are judged.
    """
    if not run.cell:
        return {cell: cell for cell in protocol.cells}
    if LINEAR_TOP1 not in protocol.cells:
        raise Refusal(f"run.cell is {run.cell}, an ablation's cell, which only the linear protocols fill")
    return {LINEAR_TOP1: run.cell}


def _attachments(job: Job, outcome: Outcome, measured: str, cell: str) -> dict[str, str]:
    """Copy predictions and log beside the records, under names that carry the job's."""
    files = {"predictions": outcome.predictions[measured], "log": outcome.log}
    stored = {}
    for kind, name in files.items():
        if name and (job.folder / name).is_file():
            source = job.folder / name
            relative = Path("attachments") / f"{cell.replace('/', '.')}-{job.folder.name}{source.suffix}"
            with atomic.atomic_file(job.run.records / relative) as target, source.open("rb") as content:
                shutil.copyfileobj(content, target)
            stored[kind] = str(relative)
    return stored


def resolved_settings(name: str, named: Protocol, protocol: Protocol, run: Run) -> str:
    """Every setting and what follows from it, as JSON: for `--run.dry-run`, without data or weights."""
    layout = layout_of(protocol.dataset)
    derived: dict[str, object] = {"cells": protocol.cells, "images at full size": dict(layout.splits)}
    if isinstance(protocol, Probe):
        steps = protocol.steps_per_epoch(layout.splits["train"])
        derived["steps per epoch at full size"] = steps
        derived["steps in all at full size"] = steps * protocol.epochs
        derived["trunk"] = "fine-tuned" if protocol.fine_tunes else "frozen, in evaluation mode"
    settings = {
        "protocol": name,
        "hash": settings_hash(protocol),
        "deviations": deviations(named, protocol) + run.deviations,
        "settings": json.loads(canonical_json(protocol)),
        "derived": derived,
        "run": json.loads(canonical_json(run)),
    }
    return json.dumps(settings, indent=1)


def _done(record: Record | None, run: Run) -> bool:
    if record is None:
        return False
    if _rank() == 0:
        print(f"{record.cell}: done already, {record.measurement.value:.2f} % ({run.records}, {record.created})")
    return True


def _comparable(records: Sequence[Record], run: Run) -> list[Record]:
    return [record for record in records if _machine_deviations(record) == run.deviations]


def _machine_deviations(record: Record) -> tuple[str, ...]:
    """What was recorded of `Run.deviations`: a number at lower precision does not stand for one at full precision."""
    return tuple(line for line in record.deviations if line.startswith("precision:"))


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _folder(name: str, key: RecordKey, run: Run, measured: int) -> Path:
    """The run folder; with `run.again` the first, from as many as were `measured`, whose work no record came of."""
    if not run.again:
        return run.output / _folder_name(name, key, run, 0)
    return first_unrecorded(
        run.output / _folder_name(name, key, run, repetition) for repetition in itertools.count(measured)
    )


def _folder_name(name: str, key: RecordKey, run: Run, repetition: int) -> str:
    words = [name, key.protocol_hash[:8], key.checkpoint_sha256[:12], key.dataset_fingerprint[:8], f"seed{run.seed}"]
    words += [f"limit{run.limit}"] if run.limit else []
    words += [run.precision] if run.deviations else []
    words += [f"again{repetition}"] if repetition else []
    return "-".join(words)
