"""Around every engine: done cells are skipped at once, run folders never mix, records tell everything."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from results.records import Measurement, read_records
from results.refusal import Refusal
from transfer.command import execute
from transfer.job import Job, Outcome
from transfer.protocols import PROTOCOLS, LinearProtocol
from transfer.run import LinearRun

ROOT = Path(__file__).parents[2]
NAME = "places205-demo"
PROTOCOL = PROTOCOLS[NAME]
assert isinstance(PROTOCOL, LinearProtocol)
Engine = Callable[[Job[LinearProtocol, LinearRun]], Outcome]


def engine(folders: list[Path], value: float = 50.0) -> Engine:
    """An engine that writes a log, notes where it worked, and measures `value`."""

    def measure(job: Job[LinearProtocol, LinearRun]) -> Outcome:
        folders.append(job.folder)
        log = job.folder / "log.json"
        log.write_text("{}")
        measured = Measurement(
            job.protocol.cell, value, 360, details={"engine": job.run.engine, "heads": {"res5avg": value}}
        )
        return Outcome((measured,), attachments={"log": log})

    return measure


@pytest.fixture
def run(digits_root: Path, tmp_path: Path) -> LinearRun:
    return LinearRun("random-init", digits_root / "places205", tmp_path / "out", tmp_path / "records")


def execute_demo(run: LinearRun, measure: Engine, used: LinearProtocol = PROTOCOL) -> int:
    return execute(NAME, PROTOCOL, used, run, measure)


def test_a_cell_is_measured_once_and_then_reported_as_done(run: LinearRun, capsys: pytest.CaptureFixture[str]) -> None:
    folders: list[Path] = []
    assert execute_demo(run, engine(folders)) == 0
    assert execute_demo(run, engine(folders)) == 0
    assert len(folders) == 1
    assert "table2/places205/top1: done already, 50.00 percent (random init" in capsys.readouterr().out


def test_the_record_tells_protocol_data_and_every_number(run: LinearRun) -> None:
    execute_demo(run, engine([]))
    (record,), warnings = read_records(run.records)
    assert not warnings
    assert (record.cell, record.measurement.value, record.seed) == ("table2/places205/top1", 50.0, 0)
    assert (record.dataset.corpus, record.dataset.counts["val"], record.checkpoint.label) == (
        "digits",
        360,
        "random init",
    )
    assert record.measurement.details["heads"] == {"res5avg": 50.0}
    assert record.protocol_settings["epochs"] == PROTOCOL.epochs
    assert not record.deviations
    assert (run.records / record.attachments["log"]).read_text() == "{}"


def test_a_changed_setting_is_a_deviation_and_has_a_run_folder_of_its_own(run: LinearRun) -> None:
    folders: list[Path] = []
    execute_demo(run, engine(folders))
    execute_demo(run, engine(folders), replace(PROTOCOL, epochs=9))
    assert len(set(folders)) == 2
    records, _ = read_records(run.records)
    assert sorted(record.deviations for record in records) == [(), (f"epochs: {PROTOCOL.epochs} -> 9",)]


def test_a_second_checkpoint_in_the_same_output_works_in_another_folder(run: LinearRun, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"\x80 other weights")
    folders: list[Path] = []
    execute_demo(run, engine(folders, 10.0))
    execute_demo(replace(run, checkpoint=str(other)), engine(folders, 90.0))
    assert len(set(folders)) == 2
    assert {record.measurement.value for record in read_records(run.records)[0]} == {10.0, 90.0}


def test_again_measures_anew_in_a_fresh_folder(run: LinearRun) -> None:
    folders: list[Path] = []
    execute_demo(run, engine(folders, 1.0))
    execute_demo(replace(run, again=True), engine(folders, 2.0))
    execute_demo(replace(run, again=True), engine(folders, 3.0))
    assert len(set(folders)) == 3
    assert sorted(record.measurement.value for record in read_records(run.records)[0]) == [1.0, 2.0, 3.0]


def test_after_a_failure_the_same_folder_is_continued_and_the_record_says_so(run: LinearRun) -> None:
    def fail(job: Job[LinearProtocol, LinearRun]) -> Outcome:
        (job.folder / "vissl").mkdir()
        (job.folder / "vissl" / "model_phase0.torch").touch()
        raise Refusal("engine failed")

    with pytest.raises(Refusal, match="engine failed"):
        execute_demo(run, fail)
    folders: list[Path] = []
    execute_demo(run, engine(folders))
    (record,), _ = read_records(run.records)
    assert record.resumed
    assert [folder.name for folder in run.output.iterdir()] == [folders[0].name]


def test_a_refusal_before_any_work_leaves_nothing_to_resume(run: LinearRun) -> None:
    def refuse(job: Job[LinearProtocol, LinearRun]) -> Outcome:
        raise Refusal("9 GPUs are asked for")

    with pytest.raises(Refusal, match="9 GPUs"):
        execute_demo(run, refuse)
    execute_demo(run, engine([]))
    (record,), _ = read_records(run.records)
    assert not record.resumed


def test_a_number_of_the_other_engine_does_not_stand_for_this_ones(run: LinearRun) -> None:
    folders: list[Path] = []
    execute_demo(replace(run, engine="native"), engine(folders, 49.0))
    execute_demo(run, engine(folders, 50.0))
    for made in ("native", "vissl"):  # both are done now
        execute_demo(replace(run, engine=made), engine(folders))
    assert len(folders) == len(set(folders)) == 2
    assert sorted(record.measurement.value for record in read_records(run.records)[0]) == [49.0, 50.0]


def test_again_with_other_records_is_measured_too_and_goes_on_where_it_was_interrupted(
    run: LinearRun, tmp_path: Path
) -> None:
    folders: list[Path] = []
    execute_demo(run, engine(folders, 1.0))
    elsewhere = replace(run, again=True, records=tmp_path / "elsewhere")

    def interrupted(job: Job[LinearProtocol, LinearRun]) -> Outcome:
        folders.append(job.folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute_demo(elsewhere, interrupted)
    execute_demo(elsewhere, engine(folders, 2.0))
    assert folders[0] != folders[1] == folders[2]


@pytest.mark.parametrize("place", ["file", "file/records"])
def test_records_that_could_not_be_written_are_refused_before_any_work(
    run: LinearRun, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    folders: list[Path] = []
    with pytest.raises(Refusal, match=f"{place} cannot hold files: .*/file is not a folder"):
        execute_demo(replace(run, records=tmp_path / place), engine(folders))
    assert not folders and not run.output.exists()


def test_a_limited_run_is_a_subset_and_never_stands_for_the_whole(run: LinearRun) -> None:
    folders: list[Path] = []
    execute_demo(replace(run, limit=50), engine(folders))
    execute_demo(run, engine(folders))
    assert len(set(folders)) == 2
    assert sorted(bool(record.dataset.subset) for record in read_records(run.records)[0]) == [False, True]


def test_a_dry_run_prints_every_setting_and_needs_neither_data_nor_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute_demo(LinearRun(dry_run=True, data=Path("nowhere")), engine([])) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["settings"]["peak_lr"] == PROTOCOL.peak_lr
    assert printed["run"]["engine"] == "vissl"


def test_a_missing_checkpoint_and_missing_data_are_refused_by_path(run: LinearRun, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"absent\.pth"):
        execute_demo(replace(run, checkpoint=str(tmp_path / "absent.pth")), engine([]))
    with pytest.raises(Refusal, match="nowhere"):
        execute_demo(replace(run, data=tmp_path / "nowhere"), engine([]))


def test_the_command_answers_that_all_is_done_without_torch(run: LinearRun) -> None:
    execute_demo(run, engine([]))
    arguments = [f"--run.{name}={getattr(run, name)}" for name in ("checkpoint", "data", "output", "records")]
    code = (
        "import sys, runpy; sys.argv[0] = 'transfer'\n"
        "try: runpy.run_module('transfer', run_name='__main__', alter_sys=True)\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, NAME, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "done already, 50.00 percent" in done.stdout
    assert done.stderr.strip() == "False"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["places206"], "places206"),
        (["places205", "--run.engine", "caffe"], "caffe"),
        (["places205", "--protocol.lr", "1"], "protocol.lr"),
        (
            ["places205", "--run.checkpoint", "x.pth", "--protocol.cell-head", "res2", "--run.seed", "-1"],
            "run.seed is -1",
        ),
    ],
)
def test_a_wrong_command_line_is_refused_with_status_2(arguments: list[str], message: str) -> None:
    done = subprocess.run([sys.executable, "-m", "transfer", *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_pretraining_that_deviates_is_a_deviation_of_the_record(run: LinearRun, tmp_path: Path) -> None:
    path = tmp_path / "resnet50.pth"
    path.write_bytes(b"\x80 weights")
    card = {"label": "VICReg", "recipe": "demo", "deviations": ["epochs: 12 -> 1"], "dataset": {"corpus": "digits"}}
    path.with_name("resnet50.pth.json").write_text(json.dumps(card))
    execute_demo(replace(run, checkpoint=str(path)), engine([]))
    (record,), _ = read_records(run.records)
    assert record.deviations == ("pretraining: epochs: 12 -> 1",)


def test_files_in_the_records_folder_that_are_no_records_are_named(
    run: LinearRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run.records.mkdir()
    (run.records / "torn.json").write_text('{"digest"')
    execute_demo(run, engine([]))
    assert "torn.json: not a readable JSON record" in capsys.readouterr().err
