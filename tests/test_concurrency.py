"""Several processes at once: the same command twice, two commands in one place, and many writers of records."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from results.records import read_records
from tests import crash

WRITERS, RECORDS = 8, 50
WRITE = """
import sys, time
from pathlib import Path
from results.provenance import new_record
from results.records import CheckpointIdentity, DatasetIdentity, Measurement, write_record
from evaluate.protocols import PROTOCOLS
writer, folder = int(sys.argv[1]), Path(sys.argv[2])
protocol = PROTOCOLS["linear"]
for number in range(int(sys.argv[3])):
    # Two writers at a time measure the same thing, down to everything but the clock.
    record = new_record(
        Measurement("table1/linear/top1", 50.0 + number / 10, 50_000), wall_time_seconds=writer,
        checkpoint=CheckpointIdentity("a" * 64, "a file", "VICReg"), seed=writer // 2,
        dataset=DatasetIdentity("imagenet", "official", "f" * 64, {}), protocol_name="linear",
        named_protocol=protocol, used_protocol=protocol,
    )
    write_record(record, folder)
"""


def evaluate(protocol: str, digits: Path, folder: Path, log: str, *more: str) -> crash.Command:
    flags = ["--run.checkpoint", "random-init", "--run.data", digits / "imagenet", "--run.output", folder / "out"]
    flags += ["--run.records", folder / "records", "--run.workers", "0", "--run.skip-doctor", *more]
    return crash.Command(["-m", "evaluate", protocol, *map(str, flags)], folder / log)


def test_eight_processes_writing_fifty_records_each_lose_none(tmp_path: Path) -> None:
    lines = [[sys.executable, "-c", WRITE, str(writer), str(tmp_path), str(RECORDS)] for writer in range(WRITERS)]
    processes = [subprocess.Popen(line, cwd=crash.ROOT) for line in lines]
    assert [process.wait(120) for process in processes] == [0] * WRITERS
    records, warnings = read_records(tmp_path)
    assert warnings == []
    assert len(records) == WRITERS * RECORDS
    assert {record.measurement.value for record in records} == {50.0 + number / 10 for number in range(RECORDS)}
    assert not list(tmp_path.rglob("*.partial"))
    print(f"\nconcurrency: {len(records)} records of {WRITERS} processes at once, none lost")


def test_of_two_identical_commands_the_second_is_refused_naming_the_first(digits_root: Path, tmp_path: Path) -> None:
    first = evaluate("linear-demo", digits_root, tmp_path, "first.log")
    process = first.start()
    try:
        while not list(tmp_path.glob("out/*/.lock")):
            assert process.poll() is None, first.tail()
            time.sleep(0.02)
        second = evaluate("linear-demo", digits_root, tmp_path, "second.log")
        assert second.start().wait(120) == 2
        (said,) = [line for line in second.tail().splitlines() if line.startswith("error: ")]
        assert f" is in use by process {process.pid} (" in said
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_two_identical_commands_started_together_leave_one_record_a_cell(digits_root: Path, tmp_path: Path) -> None:
    commands = [evaluate("linear-demo", digits_root, tmp_path, f"{n}.log", "--protocol.epochs", "1") for n in range(2)]
    processes = [command.start() for command in commands]
    statuses = [process.wait(300) for process in processes]
    # Whoever is later is refused, or finds the work done; never are there two numbers.
    assert 0 in statuses and set(statuses) <= {0, 2}, [command.tail() for command in commands]
    assert set(crash.only_records(tmp_path / "records")) == {"table1/linear/top1", "table1/linear/top5"}


@pytest.mark.slow
def test_two_different_commands_in_one_place_both_succeed(digits_root: Path, tmp_path: Path) -> None:
    # They share the cache of the validation features, which both find missing.
    commands = [
        evaluate("linear-demo", digits_root, tmp_path, "linear.log", "--run.limit", "600", "--protocol.epochs", "1"),
        evaluate("knn-demo", digits_root, tmp_path, "knn.log", "--run.limit", "600"),
    ]
    processes = [command.start() for command in commands]
    assert [process.wait(300) for process in processes] == [0, 0], [command.tail() for command in commands]
    assert len(crash.only_records(tmp_path / "records")) == 4
    crash.assert_nothing_left(tmp_path)
