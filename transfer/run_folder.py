"""A run folder belongs to one job, and to one process at a time; an interrupted job is continued in it, never mixed."""

import fcntl
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from results import atomic
from results.refusal import Refusal

IDENTITY_FILE = "identity.json"
LOCK_FILE = ".lock"
ORPHAN_SECONDS = 15.0


@contextmanager
def open_run_folder(folder: Path, identity: Mapping[str, str]) -> Iterator[bool]:
    """Make or reopen `folder` for the job named by `identity` and hold its lock; yields whether it was begun before.

    Raises:
        Refusal: the folder belongs to another job, or another process is working in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"cannot make the run folder {folder}: {error.strerror}; choose another --run.output") from error
    with _locked(folder / LOCK_FILE):
        begun = _claim(folder / IDENTITY_FILE, identity)
        yield begun


def _claim(file: Path, identity: Mapping[str, str]) -> bool:
    if not file.exists():
        atomic.write_text(file, json.dumps(dict(identity), indent=1, sort_keys=True) + "\n")
        return False
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refusal(f"{file} is not readable JSON; remove the folder {file.parent} to start anew") from error
    for name, value in identity.items():
        if found.get(name) != value:
            raise Refusal(
                f"{file.parent} holds a run with {name} {found.get(name)!r}, this one has {value!r}; "
                "choose another --run.output or remove that folder"
            )
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    os.set_inheritable(descriptor, True)  # an engine's process holds it too, should this one be killed
    try:
        _acquire(descriptor, path)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "command": shlex.join(sys.argv)}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path) -> None:
    # The children of a command that was killed hold its lock until they notice, a second or so later: wait for those.
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            holder = _holder(path)
            if _alive(holder.get("pid")) or time.monotonic() > deadline:
                raise Refusal(
                    f"{path.parent} is in use by process {holder.get('pid', '?')} ({holder.get('command', '?')}); "
                    "wait for it or end it"
                ) from error
            time.sleep(0.2)


def _holder(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _alive(pid: object) -> bool:
    if not isinstance(pid, int):
        return True  # the holder has not written its name yet
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
