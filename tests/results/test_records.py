"""Records are written once and believed only when whole; everything else is named and skipped."""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.records import Record, RecordKey, find, key_of, read_record, read_records, write_record
from results.refusal import Refusal

Make = Callable[..., Record]


def reseal(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit a record as a careful forger would, with a digest that fits again."""
    content = json.loads(path.read_text())
    del content["digest"]
    change(content)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["digest"] = hashlib.sha256(canonical.encode()).hexdigest()
    path.write_text(json.dumps(content))


def test_a_record_reads_back_as_it_was_written(tmp_path: Path, make_record: Make) -> None:
    record = make_record(
        details={"per_head": [{"lr": 0.02, "final": 73.2}]}, attachments={"log": "attachments/a.jsonl"}
    )
    path = write_record(record, tmp_path)
    assert read_record(path) == record
    assert path.name.startswith("table1.linear.top1-vicreg-seed0-") and path.suffix == ".json"


def test_a_record_is_never_overwritten(tmp_path: Path, make_record: Make) -> None:
    path = write_record(make_record(), tmp_path)
    before = path.read_bytes()
    with pytest.raises(Refusal, match="never overwritten"):
        write_record(make_record(), tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"value": "73.2"}, r"record\.measurement\.value is '73\.2', expected float"),
        ({"value": True}, "measurement.value is True, expected float"),
        ({"value": math.nan}, "measurement.value is nan, expected a finite number"),
        ({"value": math.inf}, "measurement.value is inf"),
        ({"value": 101.0}, "expected 0 to 100 percent"),
        ({"sample_count": -5}, "sample_count is -5"),
        ({"created": "2026-01-01T00:00:00"}, "expected date, time and offset"),
        ({"cell": "table9/linear/top1"}, "unknown cell 'table9/linear/top1'.*python -m results cells"),
        ({"seed": 1.5}, "record.seed is 1.5, expected int"),
        ({"seed": -1}, "record.seed is -1, expected at least 0"),
        ({"corpus": "mine"}, "dataset.corpus is 'mine', expected one of official, digits, other"),
        ({"deviations": ["epochs"]}, "record.deviations is"),
        ({"wall_time_seconds": -1.0}, "wall_time_seconds is -1.0"),
        ({"versions": {"torch": 2}}, "record.versions is"),
        ({"attachments": {"picture": "../../secret.png"}}, "expected a path inside the records folder"),
        ({"attachments": {"picture": "/etc/passwd"}}, "expected a path inside the records folder"),
        ({"details": {"loss": math.nan}}, "not JSON compliant"),
    ],
)
def test_an_impossible_record_is_refused_before_anything_is_written(
    tmp_path: Path, make_record: Make, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(Refusal, match=complaint):
        write_record(make_record(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("field", "number"), [("value", 10**400), ("value", 1e308), ("final", -1e300), ("best", 1e12)])
def test_a_number_beyond_all_measurements_is_refused_in_any_unit(
    tmp_path: Path, make_record: Make, field: str, number: float
) -> None:
    record = make_record()
    measurement = dataclasses.replace(record.measurement, unit="points", **{field: number})  # type: ignore[arg-type]
    with pytest.raises(Refusal, match=f"measurement.{field} is beyond|expected a finite number"):
        write_record(dataclasses.replace(record, measurement=measurement), tmp_path)


def test_negative_counts_are_refused(tmp_path: Path, make_record: Make) -> None:
    record = make_record()
    with pytest.raises(Refusal, match=r"counts\['val'\] is -1"):
        write_record(
            dataclasses.replace(record, dataset=dataclasses.replace(record.dataset, counts={"val": -1})), tmp_path
        )


def test_the_newest_of_two_is_told_across_time_zones(make_record: Make) -> None:
    early, late = make_record(created="2026-01-01T12:00:00+05:00"), make_record(created="2026-01-01T09:00:00+00:00")
    assert find([late, early], key_of(early)) is late


def poison(path: Path, kind: str) -> None:
    """Spoil a written record in one of the ways that files get spoiled."""
    text = path.read_text()
    edits: dict[str, Callable[[dict[str, Any]], None]] = {
        "wrong type": lambda content: content["measurement"].update(value="73.2"),
        "wrong type of a list": lambda content: content.update(deviations="none"),
        "unknown cell": lambda content: content["measurement"].update(cell="table1/linear/top7"),
        "future version": lambda content: content.update(schema_version=2),
        "unknown field": lambda content: content.update(verdict="within"),
        "missing field": lambda content: content.pop("seed"),
        "part is no object": lambda content: content.update(measurement=73.2),
        "outside path": lambda content: content.update(attachments={"picture": "../x.png"}),
        "surrogate": lambda content: content["checkpoint"].update(origin="\ud800"),
        "terminal control": lambda content: content["checkpoint"].update(label="\x1b[2J"),
        "broken line": lambda content: content.update(deviations=["epochs: 1\n2"]),
        "nameless": lambda content: content["checkpoint"].update(label=""),
        "no digest of weights": lambda content: content["checkpoint"].update(sha256="xyz"),
        "no date": lambda content: content.update(created="yesterday"),
        "sealed NaN": lambda content: content["measurement"].update(value=float("nan")),
    }
    if kind in edits:
        reseal(path, edits[kind])
    elif kind == "NaN":
        path.write_text(text.replace('"value": 73.2', '"value": NaN'))
    elif kind == "truncated":
        path.write_text(text[: len(text) // 2])
    elif kind == "hand-edited":
        path.write_text(text.replace('"value": 73.2', '"value": 74.2'))
    elif kind == "foreign":
        path.write_text('{"accuracy": 0.73}')
    elif kind == "not an object":
        path.write_text("[1, 2]")
    elif kind == "not text":
        path.write_bytes(b"\xff\xfe\x00\x01")
    elif kind == "bottomless":
        path.write_text("[" * 100_000)
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "pipe":
        path.unlink()
        os.mkfifo(path)
    else:
        assert kind == "duplicate"
        path.with_name("copy.json").write_text(text)


KINDS = (
    "wrong type", "wrong type of a list", "unknown cell", "future version", "unknown field", "missing field",
    "part is no object", "outside path", "NaN", "truncated", "hand-edited", "foreign", "not an object", "not text",
    "bottomless", "folder", "pipe", "surrogate", "terminal control", "broken line", "nameless", "no digest of weights",
    "no date", "sealed NaN",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_poisoned_record_is_named_and_the_others_are_read(tmp_path: Path, make_record: Make, kind: str) -> None:
    good = make_record("table1/linear/top5", 91.1)
    write_record(good, tmp_path)
    bad = write_record(make_record(), tmp_path)
    poison(bad, kind)
    records, warnings = read_records(tmp_path)
    assert records == [good]
    assert len(warnings) == 1 and bad.name in warnings[0] and "\n" not in warnings[0]


def test_a_copy_of_a_record_is_a_duplicate_and_counts_once(tmp_path: Path, make_record: Make) -> None:
    path = write_record(make_record(), tmp_path)
    poison(path, "duplicate")
    records, warnings = read_records(tmp_path)
    assert records == [make_record()]
    assert len(warnings) == 1 and "duplicate of" in warnings[0]


def test_attachments_that_are_json_are_not_taken_for_records(tmp_path: Path, make_record: Make) -> None:
    write_record(make_record(), tmp_path)
    (tmp_path / "attachments").mkdir()
    (tmp_path / "attachments" / "detections.json").write_text("[]")
    assert read_records(tmp_path) == ([make_record()], [])


def test_a_folder_that_does_not_exist_holds_no_records(tmp_path: Path) -> None:
    assert read_records(tmp_path / "nowhere") == ([], [])


def test_only_whole_official_data_without_deviations_counts(make_record: Make) -> None:
    assert make_record().counts_as_reproduction
    assert not make_record(corpus="digits").counts_as_reproduction
    assert not make_record(corpus="other").counts_as_reproduction
    assert not make_record(subset="1000 of each split").counts_as_reproduction
    assert not make_record(deviations=("epochs: 100 -> 2",)).counts_as_reproduction


def test_find_gives_the_newest_record_of_a_key(make_record: Make) -> None:
    older = make_record(value=73.0, created="2026-01-01T00:00:00.000+00:00")
    newer = make_record(value=73.3, created="2026-02-01T00:00:00.000+00:00")
    other = make_record(seed=1)
    assert find([newer, older, other], key_of(older)) == newer
    assert find([other], key_of(older)) is None


@pytest.mark.parametrize("field", [item.name for item in dataclasses.fields(RecordKey)])
def test_each_part_of_the_key_makes_another_measurement(make_record: Make, field: str) -> None:
    key = key_of(make_record())
    changed = dataclasses.replace(key, **{field: 7 if field == "seed" else "other"})
    assert find([make_record()], changed) is None
