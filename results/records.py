"""Records in a folder: each is one immutable, self-describing JSON file for one measured cell.

A record is written once, atomically, and never overwritten; its digest is checked on every read, so a truncated or
hand-edited file is named and skipped rather than believed.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results import atomic
from results.record import SCHEMA_VERSION, CheckpointIdentity, DatasetIdentity, Measurement, Record, check_record
from results.refusal import Refusal
from results.settings import canonical_json

__all__ = [
    "DEFAULT_FOLDER", "CheckpointIdentity", "DatasetIdentity", "Measurement", "Record", "RecordKey", "find", "key_of",
    "read_record", "read_records", "write_record",
]  # fmt: skip

ATTACHMENTS = "attachments"
DEFAULT_FOLDER = Path("runs/records")


@dataclass(frozen=True)
class RecordKey:
    """What makes a measurement the same measurement: the cell is not measured again while such a record exists."""

    cell: str
    checkpoint_sha256: str
    protocol_hash: str
    dataset_fingerprint: str
    subset: str
    seed: int


def key_of(record: Record) -> RecordKey:
    """The key under which `find` returns this record."""
    return RecordKey(
        record.cell,
        record.checkpoint.sha256,
        record.protocol_hash,
        record.dataset.fingerprint,
        record.dataset.subset,
        record.seed,
    )


def write_record(record: Record, folder: Path) -> Path:
    """Write `record` into `folder` under a name that says what it is, and return the path.

    Raises:
        Refusal: a field is invalid, a file of that name exists, or the folder cannot be written.
    """
    check_record(record)
    try:
        content = _to_json(record)
    except ValueError as error:
        raise Refusal(f"record of {record.cell}: {error}") from error
    digest = _digest(content)
    cell, label = record.cell.replace("/", "."), _slug(record.checkpoint.label)
    path = folder / f"{cell}-{label}-seed{record.seed}-{digest[:12]}.json"
    if path.exists():
        raise Refusal(f"{path} exists already; records are never overwritten")
    atomic.write_text(path, json.dumps({**content, "digest": digest}, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return path


def read_record(path: Path) -> Record:
    """Read and validate one record.

    Raises:
        Refusal: naming the file and what is wrong with it: not JSON, another schema, a wrong type, a value that is
            not finite, an unknown cell, or a digest that no longer fits the content.
    """
    if not path.is_file():
        raise Refusal(f"{path}: not a file")  # a pipe would be waited for, and for ever
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Refusal(f"{path}: not a readable JSON record ({error})") from error
    if not isinstance(content, dict) or "digest" not in content:
        raise Refusal(f"{path}: not a record of this suite (no digest)")
    if content.get("schema_version") != SCHEMA_VERSION:
        raise Refusal(
            f"{path}: schema version {content.get('schema_version')!r}, this suite reads {SCHEMA_VERSION}; "
            "read it with the suite that wrote it"
        )
    digest = content.pop("digest")
    try:
        expected = _digest(content)
    except (TypeError, ValueError) as error:
        raise Refusal(f"{path}: {error}") from error
    if digest != expected:
        raise Refusal(f"{path}: edited or damaged after it was written (its digest does not fit its content)")
    try:
        record = _from_json(content)
        check_record(record)
    except (TypeError, KeyError, ValueError) as error:
        raise Refusal(f"{path}: {error}") from error
    return record


def read_records(folder: Path) -> tuple[list[Record], list[str]]:
    """All valid records below `folder` (sorted by file name) and one warning for each JSON file that is not one.

    Files under `attachments/` belong to records and are not looked at. A second record with the same content as an
    earlier one is a duplicate: it is warned of and left out.
    """
    records: list[Record] = []
    warnings: list[str] = []
    seen: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.json")) if folder.is_dir() else []:
        if ATTACHMENTS in path.relative_to(folder).parts:
            continue
        try:
            record = read_record(path)
        except Refusal as refusal:
            warnings.append(str(refusal))
            continue
        digest = _digest(_to_json(record))
        if digest in seen:
            warnings.append(f"{path}: duplicate of {seen[digest].name}")
            continue
        seen[digest] = path
        records.append(record)
    return records, warnings


def find(records: Iterable[Record], key: RecordKey) -> Record | None:
    """The newest record with this key, or None when the cell has still to be measured."""
    matching = [record for record in records if key_of(record) == key]
    return max(matching, key=lambda record: record.moment, default=None)


def _to_json(record: Record) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(canonical_json(record))
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(dict(content)).encode()).hexdigest()


def _from_json(content: dict[str, Any]) -> Record:
    if not isinstance(content["deviations"], list):
        raise TypeError(f"deviations is {content['deviations']!r}, not a list")
    parts = {
        "measurement": _build(Measurement, content["measurement"]),
        "checkpoint": _build(CheckpointIdentity, content["checkpoint"]),
        "dataset": _build(DatasetIdentity, content["dataset"]),
        "deviations": tuple(content["deviations"]),
    }
    record: Record = _build(Record, {**content, **parts})
    return record


def _build(kind: Any, content: Any) -> Any:
    if not isinstance(content, dict):
        raise TypeError(f"{kind.__name__} is {content!r}, not an object")
    names = {item.name for item in dataclasses.fields(kind)}
    if unknown := set(content) - names:
        raise KeyError(f"unknown field {sorted(unknown)[0]!r} in {kind.__name__}")
    return kind(**content)


def _slug(text: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in text.lower())[:40]
