"""Files appear whole or not at all: write beside the target, fsync, rename, fsync the folder.

What a killed process was writing stays behind as a ".NAME.*.partial"; the next write into that folder takes it away.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from results.refusal import Refusal

PARTIAL = ".partial"


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that becomes `path` when the block ends well and vanishes when it does not.

    Raises:
        Refusal: the folder cannot be written or the disk is full; `path` is then as it was before.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        descriptor, temporary = _held_temporary(path)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            # Still open, and so still locked: another writer would take it away otherwise.
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        _fsync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        # torch.save turns the OSError of a full disk into a RuntimeError about its own positions.
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise Refusal(f"cannot write {path}: {cause.strerror or cause}; free space or choose another folder") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically; see `atomic_file`."""
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` as UTF-8, atomically; see `atomic_file`."""
    write_bytes(path, content.encode("utf-8"))


def refuse_unwritable(folder: Path) -> None:
    """Whether files can be put into `folder`, which need not exist yet; asked before hours of work, changing nothing.

    Raises:
        Refusal: it, or the nearest folder above it that exists, is no folder or may not be written.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise Refusal(f"{folder} cannot hold files: {existing} is not a folder; choose another")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise Refusal(f"{folder} cannot hold files: {existing} may not be written; choose another")


def _held_temporary(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, locked for as long as it is open: by that a living writer's file is known."""
    while True:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
        with suppress(OSError):  # some network file systems have no locks; nothing is taken away there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)  # it was taken for abandoned before it was locked


def _remove_abandoned(folder: Path) -> None:
    for left in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink(missing_ok=True)


def _umask() -> int:
    # mkstemp makes files private; a finished file gets what a plain open() would have given it.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _fsync_folder(folder: Path) -> None:
    # Without this a rename may be lost by a power cut although the file's own bytes are safe.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
