"""A run folder is one process's at a time; the lock dies with it, and children that outlive it are waited for."""

import fcntl
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from results.refusal import Refusal

LOCK_FILE = ".lock"
ORPHAN_SECONDS = 15.0


@contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Make `folder` and hold it; if nothing but a `Refusal` happens in a new one, it is taken away again.

    Raises:
        Refusal: another process holds it, or it cannot be made or locked.
    """
    try:
        descriptor = _locked(folder)
    except OSError as error:
        raise Refusal(f"cannot use {folder}: {error.strerror}; choose another --run.output") from error
    try:
        yield
    except Refusal:
        if [path.name for path in folder.iterdir()] == [LOCK_FILE]:
            (folder / LOCK_FILE).unlink()
            folder.rmdir()
        raise
    finally:
        os.close(descriptor)


def _locked(folder: Path) -> int:
    """An open descriptor of the folder's lock file, locked and naming this process."""
    path = folder / LOCK_FILE
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                _sign(descriptor)
                return descriptor
            # Its last holder took the file away between our opening and locking it.
        except BlockingIOError:
            _refuse_while_in_use(path, deadline)
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _sign(descriptor: int) -> None:
    os.set_inheritable(descriptor, True)  # an engine's process holds it too, should this one be killed
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "command": shlex.join(sys.argv)}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _refuse_while_in_use(path: Path, deadline: float) -> None:
    # Workers and engines of a command that was killed hold its lock until they notice, seconds later: wait for those.
    holder = _holder(path)
    if not _is_gone(holder) or time.monotonic() > deadline:
        here = holder.get("host") in (None, socket.gethostname())
        where = "" if here else f" on {holder['host']}"
        raise Refusal(
            f"{path.parent} is in use by process {holder.get('pid', '?')}{where} ({holder.get('command', '?')}); "
            "wait for it or end it"
        )
    time.sleep(0.2)


def _holder(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_gone(holder: dict[str, object]) -> bool:
    pid = holder.get("pid")
    if not isinstance(pid, int):
        return True  # it has not signed yet: look again
    if holder.get("host") != socket.gethostname():
        return False  # it cannot be seen from here
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
