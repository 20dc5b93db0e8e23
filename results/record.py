"""One record: a measured cell with everything needed to judge and repeat it, and what makes it a valid one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from results.cells import is_cell
from results.refusal import Refusal
from results.typed import check_types

SCHEMA_VERSION = 1
LARGEST_NUMBER = 1e9
"""No cell's number comes near; sums over seeds stay finite."""
PRETRAINING_DEVIATION = "pretraining: "
CORPORA = ("official", "digits", "other")


@dataclass(frozen=True)
class Measurement:
    """What a protocol measured for one cell; knows nothing of files, tables or the paper.

    `value` is the number the protocol declared beforehand as the cell's (in `unit`); `final` and `best` are the last
    and the best over the run where there are several. `details` holds every other number of the same run by name
    (other heads, classes, temperatures), as plain JSON.
    """

    cell: str
    value: float
    sample_count: int
    unit: str = "percent"
    final: float | None = None
    best: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointIdentity:
    """Which weights were measured. `sha256` is that of the file as given, before any conversion.

    `label` is the row of the paper's tables they belong to ("VICReg", "Barlow Twins") or names a control
    ("random init").
    """

    sha256: str
    origin: str
    label: str


@dataclass(frozen=True)
class DatasetIdentity:
    """Which images were measured on. `corpus` is "official", "digits" or "other"; only the first meets the paper.

    `counts` are images by split; `subset` says which part of them was used, or is empty for all.
    """

    name: str
    corpus: str
    fingerprint: str
    counts: Mapping[str, int]
    subset: str = ""


@dataclass(frozen=True)
class Record:
    """One measured cell with everything needed to judge and repeat it; field names are the JSON's keys.

    `wall_time_seconds` of a `resumed` transfer run is that of the last session alone.
    """

    measurement: Measurement
    checkpoint: CheckpointIdentity
    dataset: DatasetIdentity
    protocol: str
    protocol_hash: str
    protocol_settings: Mapping[str, Any]
    deviations: tuple[str, ...]
    seed: int
    commit: str
    versions: Mapping[str, str]
    hardware: str
    wall_time_seconds: float
    command: str
    created: str
    attachments: Mapping[str, str] = field(default_factory=dict)
    resumed: bool = False
    schema_version: int = SCHEMA_VERSION

    @property
    def cell(self) -> str:
        """The cell's name, as "table1/linear/top1"."""
        return self.measurement.cell

    @property
    def moment(self) -> datetime:
        """When it was created; by that the newest of several is known, whatever their time zones."""
        return datetime.fromisoformat(self.created)

    @property
    def protocol_deviations(self) -> tuple[str, ...]:
        """Those of the deviations that are this measurement's own, not its checkpoint's pretraining's."""
        return tuple(line for line in self.deviations if not line.startswith(PRETRAINING_DEVIATION))

    @property
    def counts_as_reproduction(self) -> bool:
        """Whether this record may be compared with the paper: official data, whole, and no deviation."""
        return self.dataset.corpus == "official" and not self.dataset.subset and not self.deviations


def check_record(record: Record) -> None:
    """Refuse what no measurement can be, naming the field: wrong types, unknown cells, impossible numbers."""
    check_types(record, "record")
    _check_texts(record)
    measurement, dataset = record.measurement, record.dataset
    if not is_cell(measurement.cell):
        raise Refusal(f"unknown cell {measurement.cell!r}; `python -m results cells` lists the known ones")
    if measurement.unit == "percent" and not 0 <= measurement.value <= 100:
        raise Refusal(f"record.measurement.value is {measurement.value}, expected 0 to 100 percent")
    for name in ("value", "final", "best"):
        if abs(getattr(measurement, name) or 0) > LARGEST_NUMBER:
            raise Refusal(f"record.measurement.{name} is beyond what any measurement can be")
    for split, count in dataset.counts.items():
        if count < 0:
            raise Refusal(f"record.dataset.counts[{split!r}] is {count}, expected at least 0")
    if measurement.sample_count < 1:
        raise Refusal(f"record.measurement.sample_count is {measurement.sample_count}, expected at least 1")
    if dataset.corpus not in CORPORA:
        raise Refusal(f"record.dataset.corpus is {dataset.corpus!r}, expected one of {', '.join(CORPORA)}")
    if record.seed < 0:
        raise Refusal(f"record.seed is {record.seed}, expected at least 0")
    if record.wall_time_seconds < 0:
        raise Refusal(f"record.wall_time_seconds is {record.wall_time_seconds}, expected at least 0")
    _check_identity(record)
    for kind, name in record.attachments.items():
        # The report opens these files: a record from elsewhere must not make it show another file of this machine.
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise Refusal(f"record.attachments[{kind!r}] is {name!r}, expected a path inside the records folder")


def _check_texts(record: Record) -> None:
    """Texts are shown on terminals and in tables: nothing in them may steer one or break the other."""
    shown = {
        "checkpoint.label": record.checkpoint.label,
        "checkpoint.origin": record.checkpoint.origin,
        "protocol": record.protocol,
        "dataset.subset": record.dataset.subset,
        "created": record.created,
        **{f"deviations[{index}]": line for index, line in enumerate(record.deviations)},
        **{f"attachments[{kind!r}]": name for kind, name in record.attachments.items()},
    }
    for name, text in shown.items():
        if not text.isprintable():
            raise Refusal(f"record.{name} is {text!r}, expected printable text")


def _check_identity(record: Record) -> None:
    if not record.checkpoint.label:
        raise Refusal("record.checkpoint.label is empty, expected a row of the paper or a name of your own")
    if not re.fullmatch("[0-9a-f]{64}", record.checkpoint.sha256):
        raise Refusal(f"record.checkpoint.sha256 is {record.checkpoint.sha256!r}, expected 64 hexadecimal digits")
    try:
        moment = datetime.fromisoformat(record.created)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refusal(f"record.created is {record.created!r}, expected date, time and offset as ISO 8601 has them")
