"""`python -m benchmarks` with measurements put in its hands."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import kept
from benchmarks.child import ROOT, environment
from benchmarks.rows import Row
from results.refusal import Refusal


def outcomes(values: dict[str, float]) -> Any:
    def measured(row: Row) -> dict[str, Any]:
        if row.gpu:
            return {"status": "skipped", "reason": "no CUDA device here"}
        value = values.get(row.name, row.target)
        return {"status": "measured", "value": value, "lowest": value, "highest": value, "ours": "", "baseline": ""}

    return measured


def test_all_targets_met_is_status_0_and_the_results_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "measured", outcomes({}))
    assert command.benchmarks(output=tmp_path) == 0
    assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.md"))) == 1
    assert "skipped (gpu-step" in capsys.readouterr().out


def test_a_missed_target_is_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "measured", outcomes({"lars": 2.9}))
    assert command.benchmarks(output=tmp_path) == 1


def test_a_check_compares_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refusal, match="make bench"):
        command.benchmarks(check=True, output=tmp_path)
    monkeypatch.setattr(command, "measured", outcomes({"lars": 8.0}))
    command.benchmarks(output=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    # 3 is the target, but no longer the 8 that was kept.
    monkeypatch.setattr(command, "measured", outcomes({"lars": 3.0}))
    assert command.benchmarks(check=True, output=tmp_path) == 1
    assert "regression: lars: 3 x faster now, 8 x faster kept" in capsys.readouterr().out.replace(
        "8 kept", "8 x faster kept"
    )
    assert command.benchmarks(only=("help",), check=True, output=tmp_path) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_unknown_row_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"'fastest'.*loss-2048"):
        command.benchmarks(only=("fastest",), output=tmp_path)


def test_help_teaches_without_torch() -> None:
    program = (
        "import runpy, sys\nsys.argv = ['benchmarks', '--help']\n"
        "try:\n    runpy.run_module('benchmarks', run_name='__main__')\n"
        "except SystemExit:\n    assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    for word in ("make bench", "loss-2048", "--only", "--check", "views-host (at least 6 x faster)"):
        assert word in " ".join(done.stdout.split()), word


def test_a_rows_process_gets_its_number_of_threads() -> None:
    found = environment(3)
    assert found["OMP_NUM_THREADS"] == found["MKL_NUM_THREADS"] == "3"
    assert found["PATH"]


def test_the_committed_results_are_of_this_suite() -> None:
    for path in kept.FOLDER.glob(kept.DATED):
        assert kept.read(path)["hardware"]
