"""A Python without the suite's packages is told so in one line, by every room."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "room", ["data", "pretrain", "evaluate", "transfer", "results", "benchmarks", "pretrain.torchrun"]
)
def test_a_command_outside_the_environment_is_one_line_with_status_2(room: str) -> None:
    # Without site-packages this interpreter is the bare one that users have.
    done = subprocess.run([sys.executable, "-S", "-m", room, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "source .venv/bin/activate" in done.stderr
