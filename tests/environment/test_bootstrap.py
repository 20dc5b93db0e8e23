"""A machine that cannot be set up is told why in one line, before anything is written."""

import ast
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from environment import bootstrap

SOURCE = Path(bootstrap.__file__)


def test_an_old_python_can_parse_the_bootstrap_script_so_that_it_can_refuse_itself() -> None:
    ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 4))


def test_a_python_too_old_without_a_newer_one_beside_it_is_refused_by_version_and_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", str(tmp_path / "venv")])
    monkeypatch.setattr(sys, "version_info", (3, 8, 10))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert bootstrap.main() == 2
    line = capsys.readouterr().err
    assert line.startswith("error: Python 3.8 found") and "3.11 or newer" in line and line.count("\n") == 1
    assert not (tmp_path / "venv").exists()


def test_too_little_space_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", str(tmp_path / "venv")])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(100, 99, int(1.5e9)))
    assert bootstrap.main() == 2
    assert "1.5 GB free" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_fails_is_named_and_stops_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran: list[list[str]] = []

    def fail_second(command: list[str], **_: object) -> int:
        ran.append(command)
        return 1 if len(ran) == 2 else 0

    monkeypatch.setattr(sys, "argv", ["bootstrap.py", str(tmp_path / "venv")])
    monkeypatch.setattr(bootstrap.subprocess, "call", fail_second)
    monkeypatch.setattr(bootstrap, "missing_space", lambda folder: "")
    assert bootstrap.main() == 2
    assert len(ran) == 2 and "--require-hashes" in ran[1]
    assert "requirements-lock.txt" in capsys.readouterr().err
