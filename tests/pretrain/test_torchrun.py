"""Ranks started together: the status of the one that failed, its words once, and signals that reach them all."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUEUE = 75


def launched(*words: str) -> subprocess.Popen[str]:
    """Two ranks of `words`."""
    return subprocess.Popen(
        [sys.executable, "-m", "pretrain.torchrun", "--nproc-per-node", "2", *words],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pretrain", "demo", "--run.data", "/nowhere"], "error: /nowhere/train does not exist"),
        (["pretrain", "demo", "--recipe.epochs", "many"], "error: Error parsing --recipe.epochs"),
    ],
    ids=["a wrong path", "a wrong flag"],
)
def test_what_every_rank_refuses_is_one_line_and_status_2(words: list[str], said: str, tmp_path: Path) -> None:
    process = launched("-m", *words, "--run.output", str(tmp_path / "run"))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    (line,) = errors.splitlines()
    assert line.startswith(said)


@pytest.mark.distributed
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_reaches_the_ranks_and_their_status_whoever_started_them(number: int, tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import pathlib, os, signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit({REQUEUE}))\n"
        f"pathlib.Path({str(tmp_path)!r}, 'rank' + os.environ['RANK']).touch()\n"
        "time.sleep(60)\n"
    )
    process = launched(str(worker))
    deadline = time.monotonic() + 60
    while not all((tmp_path / f"rank{rank}").exists() for rank in (0, 1)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (REQUEUE, "")


@pytest.mark.distributed
def test_a_rank_that_is_killed_is_named(tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os, signal, time\n"
        "if os.environ['RANK'] == '1':\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "time.sleep(60)\n"
    )
    process = launched(str(worker))
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, "error: rank 1 was ended by SIGKILL\n")


def test_restarts_are_refused_because_they_would_undo_a_stop() -> None:
    process = launched("--max-restarts", "1", "-m", "pretrain", "demo")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and errors.startswith("error: --max-restarts ") and errors.count("\n") == 1
