"""A folder is one process's at a time, whatever became of the one before."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from results.folder_lock import LOCK_FILE, sole_user
from results.refusal import Refusal

ROOT = Path(__file__).parents[2]
HOLD = """
import os, sys, time
from pathlib import Path
from results.folder_lock import sole_user
with sole_user(Path(sys.argv[1])):
    if os.fork() == 0:  # as a loader's worker: it holds what its parent holds, and notices the parent's end late
        time.sleep(2)
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    return process


def test_the_second_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    first = holder(tmp_path)
    try:
        with pytest.raises(Refusal, match=f"in use by process {first.pid} "), sole_user(tmp_path):
            pass
    finally:
        first.kill()
        first.communicate()


def test_workers_of_a_killed_holder_are_waited_for(tmp_path: Path) -> None:
    first = holder(tmp_path)
    first.send_signal(signal.SIGKILL)
    first.wait()
    began = time.monotonic()
    with sole_user(tmp_path):
        assert 0.2 < time.monotonic() - began < 10
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()
    assert first.stdout is not None
    first.stdout.close()


def test_a_holder_on_another_machine_is_named_with_it(tmp_path: Path) -> None:
    with sole_user(tmp_path):
        (tmp_path / LOCK_FILE).write_text(json.dumps({"pid": 2**22 + 1, "host": "node7", "command": "evaluate"}))
        with pytest.raises(Refusal, match=f"process {2**22 + 1} on node7 .evaluate"), sole_user(tmp_path):
            pass
    assert socket.gethostname() != "node7"


def test_a_lock_file_that_was_taken_away_is_no_lock(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="the user's input"), sole_user(tmp_path / "new"):
        raise Refusal("the user's input")
    assert not (tmp_path / "new").exists()
    with sole_user(tmp_path / "new"), pytest.raises(Refusal, match="in use"), sole_user(tmp_path / "new"):
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match=r"choose another --run\.output"), sole_user(tmp_path / "file" / "run"):
        pass
