"""A library in a process of its own: its output goes to a log that is followed, and it never outlives its parent."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

from results.refusal import Refusal

PARENT_VARIABLE = "VICREG_PARENT_PID"
POLL_SECONDS = 0.2
LAST_LINES = 15


def die_with_parent(parent: int = 0) -> None:
    """Called first in a child: when `parent` (0: who started it through `follow`) is gone, end the child too."""
    watched = parent or int(os.environ.get(PARENT_VARIABLE, "0"))
    if watched:
        threading.Thread(target=_watch, args=(watched,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    if PARENT_VARIABLE in os.environ:
        # What `follow` starts leads its own process group, which holds the workers it started as well.
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os._exit(1)


def follow(
    name: str, module: str, arguments: list[str], log: Path, environment: Mapping[str, str]
) -> Generator[str, None, None]:
    """Run `python -m module arguments`, appending its output to `log`, and yield each line of it as it comes.

    The child and all its children are ended when the iteration ends for whatever reason. `name` is the library's.

    Raises:
        Refusal: it ended with another status than 0; the message holds the last lines of the log.
    """
    command = [sys.executable, "-m", module, *arguments]
    variables = {**os.environ, **environment, PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as output:
        start = output.tell()
        # Only descriptors marked inheritable pass, which is the run folder's lock: it stays held until the child ends.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=variables, start_new_session=True, close_fds=False
        )
    try:
        yield from _lines(process, log, start)
    finally:
        _end(process)
    if process.returncode:
        raise Refusal(f"{name} ended with status {process.returncode}; the last lines of {log}:\n{_tail(log)}")


def _lines(process: subprocess.Popen[bytes], log: Path, start: int) -> Iterator[str]:
    with log.open("rb") as file:
        file.seek(start)
        pending = b""
        while True:
            ended = process.poll() is not None
            *complete, pending = (pending + file.read()).split(b"\n")
            yield from (line.decode("utf-8", errors="replace") for line in complete)
            if ended:
                return
            time.sleep(POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    # Its workers may outlive a child that crashed, so the whole group is ended even when the child is gone already.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return "\n".join(f"    {line[:300]}" for line in lines[-LAST_LINES:])
