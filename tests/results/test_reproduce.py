"""`reproduce` beside stand-ins for the other rooms: order, skipping, failures, the doctor, the summary."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.checkpoints import checkpoint_digest
from results.records import Record, read_records
from results.refusal import Refusal
from results.reproduce import Clock, Result, clock_time, reproduce
from results.runner import last_lines, run_logged
from results.tasks import Request, seems_done, tasks_of

Make = Callable[..., Record]


@pytest.fixture
def demo(beside_stand_ins: Path) -> Request:
    """A demo over three stages, for a checkpoint and the random control."""
    checkpoint = beside_stand_ins / "resnet50.pth"
    checkpoint.write_bytes(b"\x80 weights")
    return Request("demo", str(checkpoint), beside_stand_ins / "demo", {}, only=("knn", "voc07", "linear"))


def test_a_demo_measures_checkpoint_and_control_and_the_second_run_says_what_is_done(
    demo: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reproduce(demo) == 0
    first = capsys.readouterr().out
    assert "6 measured" in first and "[6/6] ✓ linear-demo random-init: measured in 0:0" in first
    assert "table2/voc07/mAP 50.0 percent" in first
    records, warnings = read_records(demo.records)
    assert (len(records), warnings) == (10, [])

    assert reproduce(demo) == 0
    second = capsys.readouterr().out
    assert "6 done already" in second and "doctor" not in second
    assert "= knn-demo random-init: done already: table5/knn_20/top1 50.0 percent" in second
    assert len(read_records(demo.records)[0]) == 10


def test_deleting_one_record_makes_it_measure_that_cell_alone(
    demo: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    reproduce(demo)
    (lost,) = demo.records.glob("table5.knn_200.top1-vicreg-*.json")
    lost.unlink()
    capsys.readouterr()
    assert reproduce(demo) == 0
    out = capsys.readouterr().out
    assert "1 measured, 5 done already" in out
    (redone,) = [line for line in out.splitlines() if ": measured in" in line]
    assert "✓ knn-demo resnet50.pth" in redone
    assert "knn_200/top1 50.0 percent" in redone and "knn_20/top1" not in redone
    assert lost.exists()


def test_a_failure_shows_the_logs_end_and_stops_nothing_else(
    demo: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAILING", "knn")
    assert reproduce(demo) == 1
    out = capsys.readouterr().out
    assert "4 measured, 2 failed" in out
    assert "    | error: the bank has a hole" in out
    assert out.count("failed: knn-demo") == 2 and "again: " in out
    assert {record.protocol for record in read_records(demo.records)[0]} == {"voc07-demo", "linear-demo"}


def test_a_command_that_ends_well_without_a_record_has_failed(
    demo: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SILENT", "voc07")
    assert reproduce(demo) == 1
    assert "4 measured, 2 failed" in capsys.readouterr().out


def test_the_doctor_stops_a_run_on_sick_data_and_can_be_skipped(
    demo: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SICK", "voc07")
    with pytest.raises(Refusal, match="--skip-doctor"):
        reproduce(demo)
    assert "val count: 7 images, expected 50,000" in capsys.readouterr().out
    assert read_records(demo.records)[0] == []
    assert reproduce(demo, skip_doctor=True) == 0


def test_a_dry_run_prints_the_commands_and_runs_none(demo: Request, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce(demo, dry_run=True) == 0
    out = capsys.readouterr().out
    assert "6 would run" in out
    assert f"-m evaluate knn-demo --run.checkpoint {demo.checkpoint} --run.data {demo.root}/digits/imagenet" in out
    assert not demo.root.exists()


def test_a_data_root_that_was_not_given_leaves_its_stages_out(
    beside_stand_ins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = Request(
        "paper", "random-init", beside_stand_ins / "runs", {"imagenet": beside_stand_ins}, only=("knn", "coco")
    )
    assert reproduce(request) == 0
    out = capsys.readouterr().out
    assert "1 measured, 1 no data" in out and "give --coco DIR" in out


def test_a_checkpoint_that_does_not_exist_is_refused_before_anything_runs(tmp_path: Path) -> None:
    request = Request("demo", str(tmp_path / "none.pth"), tmp_path, {})
    with pytest.raises(Refusal, match=r"none\.pth does not exist"):
        reproduce(request)


def test_paper_tasks_run_five_seeds_of_voc_detection_and_the_cheapest_stage_first(tmp_path: Path) -> None:
    roots = dict.fromkeys(("imagenet", "voc"), tmp_path)
    tasks = tasks_of(Request("paper", "random-init", tmp_path, roots, gpus=8))
    assert [task.seed for task in tasks if task.protocol == "voc0712"] == [0, 1, 2, 3, 4]
    assert tasks[-1].protocol == "voc0712" and tasks[0].protocol in ("knn", "voc07", "semi-1pct")
    linear = next(task for task in tasks if task.protocol == "linear")
    assert "--nproc-per-node 8 -m evaluate linear" in " ".join(linear.command)
    detection = next(task for task in tasks if task.protocol == "voc0712")
    assert " ".join(detection.command).endswith("--run.seed 0 --run.skip-doctor --run.gpus 8")
    # One GPU where nothing is said, as the plan counts, and not all that there are.
    alone = tasks_of(Request("paper", "random-init", tmp_path, roots))
    assert all(task.command[-2:] == ("--run.gpus", "1") for task in alone if task.stage.room == "transfer")


def test_a_smoke_run_shortens_the_demo_and_limits_real_data(tmp_path: Path) -> None:
    tasks = tasks_of(Request("smoke", "random-init", tmp_path, {"coco": tmp_path}))
    by_name = {task.protocol: " ".join(task.command) for task in tasks}
    assert by_name["linear-demo"].endswith("--protocol.epochs 1")
    assert "--run.limit 600" in by_name["knn-demo"]
    assert "--run.limit 64 --protocol.iterations 2" in by_name["coco"]


def test_every_smoke_task_deviates_or_is_limited_so_that_it_can_never_count(tmp_path: Path) -> None:
    for roots in ({}, dict.fromkeys(("imagenet", "places205", "inat18", "voc", "coco"), tmp_path)):
        for task in tasks_of(Request("smoke", "random-init", tmp_path, roots)):
            assert "--protocol." in " ".join(task.command) or "--run.limit" in task.command, task.name


def test_an_unknown_stage_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="'linaer' is no stage; the stages are knn"):
        tasks_of(Request("paper", "random-init", tmp_path, {}, only=("linaer",)))


def test_the_digest_of_a_known_name_is_that_of_its_text() -> None:
    # printf %s random-init | sha256sum
    assert checkpoint_digest("random-init").startswith("f8c42f3c1000")


def test_the_time_left_follows_the_pace_so_far(tmp_path: Path) -> None:
    tasks = tasks_of(Request("demo", "random-init", tmp_path, {}, only=("knn", "linear")))
    clock = Clock(sum(task.expected_seconds for task in tasks))
    clock.count(Result(tasks[0], "measured", 2 * tasks[0].expected_seconds))
    left = 2 * sum(task.expected_seconds for task in tasks[1:])
    assert clock.line().endswith(f"about {clock_time(left)} left")


def test_times_are_written_as_clocks_do() -> None:
    assert [clock_time(s) for s in (0.4, 61, 3599.6, 7262)] == ["0:00", "1:01", "1:00:00", "2:01:02"]


def test_on_a_terminal_the_output_passes_through_and_is_kept(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    program = "import sys; print('bar' if sys.stdout.isatty() else 'pipe'); sys.exit(4)"
    log = tmp_path / "logs" / "task.log"
    assert run_logged([sys.executable, "-c", program], log, echo=True) == 4
    assert b"bar" in capfdbinary.readouterr().out
    assert last_lines(log)[-1] == "bar"


def test_without_a_terminal_the_output_goes_to_the_log_alone(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    log = tmp_path / "task.log"
    assert run_logged([sys.executable, "-c", "print('a' * 9); print('step 1\\rstep 2')"], log, echo=False) == 0
    assert capfdbinary.readouterr().out == b""
    assert last_lines(log, 2) == ["a" * 9, "step 2"]


def test_one_seeds_record_does_not_stand_for_another_seeds_task(tmp_path: Path, make_record: Make) -> None:
    digest = checkpoint_digest("random-init")
    record = make_record("table2/voc0712/AP50", 82.4, protocol="voc0712", seed=0, sha256=digest)
    tasks = tasks_of(Request("paper", "random-init", tmp_path, {"voc": tmp_path}, only=("voc0712",)))
    assert [seems_done(task, [record], digest) for task in tasks] == [True, False, False, False, False]
    assert not seems_done(tasks[0], [record], "0" * 64)


@pytest.mark.parametrize(
    "changes",
    [
        {"deviations": ("iterations: 24000 -> 2",)},
        {"subset": "64 of each split"},
        {"corpus": "other"},
        {"corpus": "digits"},
        {"protocol_hash": "0" * 16},
    ],
)
def test_a_record_of_something_else_does_not_make_a_task_skip_its_cell(
    tmp_path: Path, make_record: Make, changes: dict[str, Any]
) -> None:
    digest = checkpoint_digest("random-init")
    (task, *_) = tasks_of(Request("paper", "random-init", tmp_path, {"voc": tmp_path}, only=("voc0712",)))
    record = make_record("table2/voc0712/AP50", 82.4, protocol="voc0712", sha256=digest)
    assert seems_done(task, [record], digest)
    changed = make_record("table2/voc0712/AP50", 82.4, protocol="voc0712", sha256=digest, **changes)
    assert not seems_done(task, [changed], digest)
    assert seems_done(task, [changed, record], digest)


def test_a_checkpoints_own_pretraining_does_not_make_its_cells_be_measured_again(
    tmp_path: Path, make_record: Make
) -> None:
    digest = checkpoint_digest("random-init")
    (task, *_) = tasks_of(Request("paper", "random-init", tmp_path, {"voc": tmp_path}, only=("voc0712",)))
    record = make_record("table2/voc0712/AP50", 82.4, protocol="voc0712", sha256=digest)
    record = dataclasses.replace(record, deviations=("pretraining: epochs: 1000 -> 300",))
    assert seems_done(task, [record], digest)


@pytest.mark.parametrize("extra", [("--protocol.iterations", "48000"), ("--run.limit=64",), ("--run.again",)])
def test_a_command_with_settings_of_its_own_is_never_skipped_unasked(
    tmp_path: Path, make_record: Make, extra: tuple[str, ...]
) -> None:
    digest = checkpoint_digest("random-init")
    request = Request("paper", "random-init", tmp_path, {"voc": tmp_path}, only=("voc0712",), extra=extra)
    record = make_record("table2/voc0712/AP50", 82.4, protocol="voc0712", sha256=digest)
    assert not seems_done(tasks_of(request)[0], [record], digest)
