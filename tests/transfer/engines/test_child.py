"""An engine's process: followed line by line, explained when it fails, and never outliving whoever started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from results.refusal import Refusal
from transfer.engines.child import follow

ROOT = Path(__file__).parents[3]

TALKER = """
import sys
print("one"); print("two"); print("half", end="")
sys.exit({status})
"""
# A worker that starts a worker of its own, as data loaders do.
FAMILY = """
import os, subprocess, sys, time
from transfer.engines.child import die_with_parent
die_with_parent()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(f"pids {os.getpid()} {child.pid}")
time.sleep(60)
"""
PARENT = """
import sys
from pathlib import Path
from transfer.engines.child import follow
for line in follow("X", "family", [], Path(sys.argv[1]), {"PYTHONPATH": sys.argv[2]}):
    print(line, flush=True)
"""


@pytest.fixture
def modules(tmp_path: Path) -> dict[str, str]:
    """An environment in which the modules above can be run by name."""
    (tmp_path / "good.py").write_text(TALKER.format(status=0))
    (tmp_path / "bad.py").write_text(TALKER.format(status=3))
    (tmp_path / "family.py").write_text(FAMILY)
    return {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until_dead(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(alive, pids))


def test_lines_come_whole_and_the_log_keeps_what_earlier_runs_wrote(tmp_path: Path, modules: dict[str, str]) -> None:
    log = tmp_path / "log"
    log.write_text("earlier\n")
    assert list(follow("X", "good", [], log, modules)) == ["one", "two"]
    assert log.read_text() == "earlier\none\ntwo\nhalf"


def test_a_failure_is_reported_with_status_and_last_lines(tmp_path: Path, modules: dict[str, str]) -> None:
    with pytest.raises(
        Refusal, match=r"(?s)X ended with status 3; the last lines of .*log:\n    one\n    two\n    half"
    ):
        list(follow("X", "bad", [], tmp_path / "log", modules))


def test_leaving_the_iteration_ends_the_child_and_its_children(tmp_path: Path, modules: dict[str, str]) -> None:
    lines = follow("X", "family", [], tmp_path / "log", modules)
    pids = [int(pid) for pid in next(lines).split()[1:]]
    assert all(map(alive, pids))
    lines.close()  # type: ignore[attr-defined]
    assert wait_until_dead(pids)


def test_killing_the_parent_outright_ends_the_child_and_its_children(tmp_path: Path, modules: dict[str, str]) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log"), modules["PYTHONPATH"]]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, **modules})
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()[1:]]
    assert len(pids) == 2
    assert all(map(alive, pids))
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    assert wait_until_dead(pids)
