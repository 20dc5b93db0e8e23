"""How long a person waits: for help, for the comparison, and from `make demo` to the first training step."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.child import ROOT
from benchmarks.harness import Outcome, seconds, timed, wall_seconds

SAMPLES = 5
POLL_SECONDS = 0.05
LIMIT_SECONDS = 120.0
LEAVE_SECONDS = 30.0


def pretrain_help() -> Outcome:
    """`python -m pretrain --help`."""
    return measure("pretrain", "--help")


def results_compare() -> Outcome:
    """`python -m results compare` with no records yet: every cell of the paper, none measured."""
    with tempfile.TemporaryDirectory(prefix="records-") as folder:
        return measure("results", "compare", "--records", folder)


def measure(*module_and_arguments: str, samples: int = SAMPLES) -> Outcome:
    """Wall seconds of `python -m …`; the first call, which may have to compile modules, is not counted."""
    command = [sys.executable, "-m", *module_and_arguments]

    def run() -> None:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-500:]

    run()
    return seconds([timed(run, wall_seconds) for _ in range(samples)], command=" ".join(module_and_arguments))


def demo_start() -> Outcome:
    """The real `make demo` in an empty folder, ended as soon as its log shows a training step."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        log = Path(folder) / "demo" / "pretrain" / "log.jsonl"
        # An empty READY stands for "environment present"; PY is the environment that runs the benchmark.
        command = ["make", "demo", "READY=", f"PY={sys.executable}", f"RUNS={folder}"]
        start = time.perf_counter()
        with running(command, Path(folder) / "output") as process:
            while not _has_step(log):
                waited = time.perf_counter() - start
                assert process.poll() is None and waited < LIMIT_SECONDS, _tail(Path(folder) / "output")
                time.sleep(POLL_SECONDS)
            return seconds([time.perf_counter() - start], command=" ".join(command[:2]))


@contextmanager
def running(command: list[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`command` in a session of its own; at the end it and all it started are asked to leave, then made to."""
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, start_new_session=True, env=_plain())
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=LEAVE_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _plain() -> dict[str, str]:
    # `make bench` must not hand its own flags to the `make demo` inside it.
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def _has_step(log: Path) -> bool:
    if not log.exists():
        return False
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            found: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:  # the last line may still be in the writing
            return False
        if "event" not in found and "step" in found:
            return True
    return False


def _tail(output: Path) -> str:
    return output.read_text(encoding="utf-8", errors="replace")[-500:]
