"""The commands as people type them: exit statuses, one clear line for a mistake, quick, and without torch."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from results.commands import compare_records, explain_cell, print_claims
from results.plan_text import print_plan
from results.records import DEFAULT_FOLDER, Record, write_record
from results.refusal import Refusal

ROOT = Path(__file__).parents[2]
Make = Callable[..., Record]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m results` with these arguments."""
    command = [sys.executable, "-m", "results", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "COLUMNS": "300", **environment},
    )  # fmt: skip


def test_500_records_are_compared_in_under_two_seconds_and_without_torch(
    tmp_path: Path, make_record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # 1000 of them would take most of this test's time
    for seed in range(500):
        write_record(make_record(value=73.0 + seed / 2000, seed=seed, details={"by_epoch": [70.0] * 100}), tmp_path)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("compare", "--records", str(tmp_path), PYTHONPROFILEIMPORTTIME="1")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and " 500 " in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert "results.compare" in imported
    assert not {"torch", "pandas", "torchvision", "matplotlib"} & imported
    # Processor time, which a busy machine does not stretch.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0


def test_an_empty_folder_gives_the_whole_table_as_not_run(tmp_path: Path) -> None:
    done = run("compare", "--records", str(tmp_path))
    assert done.returncode == 0 and done.stdout.count("· not run") == 61 and done.stderr == ""
    assert run("compare", "--records", str(tmp_path), "--strict").returncode == 1


def test_only_the_default_folder_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert compare_records(DEFAULT_FOLDER, "terminal", "", strict=False) == 0
    assert capsys.readouterr().out.count("· not run") == 61
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "records").write_text("a file")
    for folder, complaint in ((Path("runs/recods"), "does not exist"), (DEFAULT_FOLDER, "is not a folder")):
        for command in (
            lambda folder: compare_records(folder, "csv", "", strict=False),
            lambda folder: explain_cell("table1/linear/top1", folder, None),
            lambda folder: print_claims(folder, tmp_path),
            lambda folder: print_plan(folder, "a100", (1,)),
        ):
            with pytest.raises(Refusal, match=complaint):
                command(folder)


def test_a_miss_makes_the_status_1_and_a_warning_goes_to_stderr(tmp_path: Path, make_record: Make) -> None:
    write_record(make_record(value=60.0), tmp_path)
    (tmp_path / "mine.json").write_text("{")
    done = run("compare", "--records", str(tmp_path), "--format", "csv")
    assert done.returncode == 1
    assert done.stderr.startswith("warning: ") and "mine.json: not a readable JSON record" in done.stderr
    assert done.stdout.startswith("section,table,cell")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compare", "--records", "/typo"), "--records /typo does not exist; give the folder that holds the records"),
        (("compare", "--against", "nobody"), "names no measured checkpoint"),
        (("explain", "table1/linear/top3"), "unknown cell 'table1/linear/top3'"),
        (("explain", "table1/linear/top1", "--delta", "nan"), "--delta is nan, expected a finite number"),
        (("explain", "table1/linear/top1", "--delta", "inf"), "--delta is inf, expected a finite number"),
        (("plan", "--hardware", "abacus"), "choose one of v100, a100, h100"),
        (("plan", "--hardware", "v100", "--gpus", "0"), "--gpus is 0"),
        (("reproduce", "--checkpoint", "none.pth"), "none.pth does not exist"),
        (("reproduce", "--checkpoint", "random-init", "--only", "coc"), "'coc' is no stage"),
        (("report", "--output", "/proc/none/report.html"), "cannot write /proc/none/report.html"),
    ],
)
def test_a_mistake_is_one_clear_line_and_status_2(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    given = arguments[0] == "reproduce" or "--records" in arguments
    done = run(*arguments, *(() if given else ("--records", str(tmp_path))))
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and words in line


@pytest.mark.parametrize("arguments", [("compare", "--fromat", "csv"), ("compare", "--format", "xml"), ("compere",)])
def test_unknown_flags_values_and_commands_have_status_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).returncode == 2


def test_every_command_has_help_without_torch() -> None:
    for command in ("compare", "reproduce", "report", "plan", "explain", "doctor", "cells"):
        done = run(command, "--help", PYTHONPROFILEIMPORTTIME="1")
        assert done.returncode == 0 and "usage: python -m results" in done.stdout
        assert "| torch\n" not in done.stderr


def test_cells_lists_all_61() -> None:
    done = run("cells")
    assert done.returncode == 0 and done.stdout.count(" ± ") == 61


def test_results_imports_no_other_room_and_no_torch() -> None:
    forbidden = ("torch", "torchvision", "data", "pretrain", "evaluate", "transfer", "pandas", "benchmarks")
    for path in sorted((ROOT / "results").rglob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]):
                assert words[1].split(".")[0].rstrip(",") not in forbidden, f"{path}: {line}"
