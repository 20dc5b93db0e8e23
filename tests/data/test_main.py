"""The command line: one line for mistakes, exit statuses, and no torch."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from data import __main__ as main_module
from data.layouts import LAYOUTS
from data.prepare import DATASETS
from results.doctor import VERDICTS
from results.refusal import run_command_line

Copy = Callable[..., Path]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit status of `python -m data` with these arguments, in this process."""
    monkeypatch.setattr(sys, "argv", ["data", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        run_command_line(main_module.main)
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("arguments", [["--help"], ["digits", "--help"], ["doctor", "--help"], ["prepare", "--help"]])
def test_help_teaches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 0
    assert "Example: python -m data" in capsys.readouterr().out


def test_help_imports_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys, runpy; sys.argv = ['data', '--help']\n"
        "try: runpy.run_module('data', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('HEAVY', sorted({'torch', 'sklearn', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "HEAVY []" in done.stdout


def test_digits_says_that_they_are_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], digits_root: Path
) -> None:
    assert run(monkeypatch, "digits", "--root", digits_root) == 0
    assert "is whole already" in capsys.readouterr().out


def test_the_doctor_answers_programs_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], copy_digits: Copy
) -> None:
    root = copy_digits("places205") / "places205"
    stray = root / "val" / "dam" / "notes.txt"
    stray.touch()
    next((root / "train" / "dam").iterdir()).unlink()
    status = run(monkeypatch, "doctor", "--dataset", "places205", "--root", root, "--format", "json")
    answer = json.loads(capsys.readouterr().out)
    assert status == 1 and (answer["dataset"], answer["root"]) == ("places205", str(root))
    verdicts = {check["name"]: check["verdict"] for check in answer["checks"]}
    assert set(verdicts.values()) == {"ok", "note", "problem"} < set(VERDICTS)
    assert verdicts["train count"] == "problem"
    assert [check["files"] for check in answer["checks"] if check["verdict"] == "note"] == [[str(stray)]]


def test_the_doctor_s_exit_status_says_good_findings_or_unusable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], copy_digits: Copy
) -> None:
    root = copy_digits("places205") / "places205"
    assert run(monkeypatch, "doctor", "--dataset", "places205", "--root", root) == 0
    (root / "val" / "dam" / "[red]notes.txt").touch()
    assert run(monkeypatch, "doctor", "--dataset", "places205", "--root", root) == 0
    assert run(monkeypatch, "doctor", "--dataset", "places205", "--root", root, "--strict") == 1
    assert "[red]notes.txt" in capsys.readouterr().out
    shutil.rmtree(root / "val")
    assert run(monkeypatch, "doctor", "--dataset", "places205", "--root", root) == 2


def test_listed_files_are_capped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], copy_digits: Copy
) -> None:
    root = copy_digits("places205") / "places205"
    for number in range(5):
        (root / "val" / "dam" / f"{number}.txt").touch()
    run(monkeypatch, "doctor", "--dataset", "places205", "--root", root, "--show", 2)
    printed = capsys.readouterr().out
    assert "and 3 more" in printed
    assert "4.txt" not in printed


def test_prepare_says_what_it_prepared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], digits_root: Path, tmp_path: Path
) -> None:
    arguments = ("prepare", "--dataset", "voc07", "--root", digits_root / "VOCdevkit", "--output", tmp_path / "out")
    assert run(monkeypatch, *arguments) == 0
    assert "prepared 100 train, 60 val images" in capsys.readouterr().out
    assert run(monkeypatch, *arguments) == 0
    assert "prepared already" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["digits"],
        ["digits", "--root", "x", "--sed", "1"],
        ["digits", "--root", "x", "--seed", "one"],
        ["doctor", "--dataset", "mnist", "--root", "x"],
        ["prepare", "--dataset", "coco", "--root", "x", "--output", "y"],
        ["explode"],
    ],
)
def test_wrong_usage_exits_with_status_2(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    assert run(monkeypatch, *arguments) == 2


def test_a_refusal_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").touch()
    assert run(monkeypatch, "digits", "--root", tmp_path) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_the_choices_offered_are_the_data_sets_there_are() -> None:
    assert set(get_args(main_module.Checkable)) == set(LAYOUTS)
    assert set(get_args(main_module.Preparable)) == set(DATASETS)
