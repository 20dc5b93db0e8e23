"""A command that is killed takes what it started with it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTS = {
    "results.runner": "from results.runner import run_logged; run_logged(command, log, echo=False)",
    "results.runner on a terminal": "from results.runner import run_logged; run_logged(command, log, echo=True)",
    "pretrain.child": "from pretrain.child import call; call(command)",
}
PARENT = """
import sys
from pathlib import Path
command, log = [sys.executable, "-c", sys.argv[1]], Path(sys.argv[2])
{start}
"""
CHILD = "import os, time; print(os.getpid(), flush=True); open({pid!r}, 'w').write(str(os.getpid())); time.sleep(60)"


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_of_a_killed_command_ends(start: str, number: int, tmp_path: Path) -> None:
    child = CHILD.format(pid=str(tmp_path / "pid"))
    program = PARENT.format(start=STARTS[start])
    with (tmp_path / "out").open("wb") as out:
        line = [sys.executable, "-c", program, child, str(tmp_path / "log")]
        parent = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out)
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline and parent.poll() is None, (tmp_path / "out").read_text()
        time.sleep(0.02)
    pid = int((tmp_path / "pid").read_text())
    assert is_alive(pid)
    parent.send_signal(number)
    parent.wait(10)
    while is_alive(pid):
        assert time.monotonic() < deadline, "the child goes on"
        time.sleep(0.02)
