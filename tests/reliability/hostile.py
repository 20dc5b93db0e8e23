"""What the fuzzers share: mutations of bytes and of JSON, and a watch on what a reader does to the world outside."""

import copy
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.refusal import Refusal

ROOT = Path(__file__).parents[2]
# Imports, and what libraries read of the system on their first use, are not the file's doing.
OWN = (str(ROOT), sys.prefix, sys.base_prefix, os.path.realpath(sys.prefix), "/proc", "/sys", "/usr", "/lib", "/dev")
FORBIDDEN = (
    "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.rename", "os.remove", "os.rmdir",
    "os.chmod", "os.symlink", "os.link", "os.mkdir", "shutil.", "socket.", "urllib.", "ftplib.", "smtplib.",
    "pickle.find_class", "webbrowser.",
)  # fmt: skip
_watched: list[tuple[str, Path]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched:
        return
    if event.startswith(FORBIDDEN):
        _watched.append((f"{event}{arguments}", Path()))
    elif event == "open" and isinstance(arguments[0], str | bytes):
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100  (no audit events of its own)
        mode = str(arguments[1] or "r")
        inside = path.startswith(str(_watched[0][1]))
        if not inside and (not path.startswith(OWN) or set(mode) & set("wax+")):
            _watched.append((f"open {path} {mode}", Path()))


sys.addaudithook(_audit)


@contextmanager
def nothing_but_reading(root: Path) -> Iterator[None]:
    """While the block runs, only files below `root` are read and nothing is run, written, moved or sent."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
        _watched.append(("watching", root))
        try:
            yield
        finally:
            done = [what for what, _ in _watched[1:]]
            _watched.clear()
    assert done == []


HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**40, -0.5, 1e308, float("nan"), float("inf"), "", "x", "../../etc/passwd",
    "/etc/passwd", "a\0b", "\ud800", "<script>alert(1)</script>", "x" * 10_000, [], {}, [[]], [None], {"": None},
    {"a": {"b": [1, {"c": "d"}]}}, ["../x"], "1" * 5_000,
)  # fmt: skip


def mutated(content: bytes, random: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Bytes flipped, cut, dropped, doubled, overwritten or spliced with another file's."""
    out = bytearray(content)
    for _ in range(random.integers(1, 4)):
        size = len(out)
        a, b = sorted(int(place) for place in random.integers(0, size + 1, 2))
        b = min(b, a + int(random.integers(1, 64)))
        choice = random.integers(7)
        if choice == 0 and size:
            out[int(random.integers(size))] ^= 1 << int(random.integers(8))
        elif choice == 1:
            out = out[:a] if random.integers(2) else out[a:]
        elif choice == 2:
            del out[a:b]
        elif choice == 3:
            out[b:b] = out[a:b] * int(random.integers(1, 4))
        elif choice == 4:
            out[a:b] = random.bytes(b - a)
        elif choice == 5:
            out[a:b] = random.choice([b"\xff", b"\0", b"\x80", b"9", b"[", b'"', b"<", b"\n"]) * (b - a)
        else:
            other = others[int(random.integers(len(others)))]
            start = int(random.integers(0, len(other) + 1))
            out[a:b] = other[start : start + int(random.integers(1, 200))]
    return bytes(out)


def mutated_json(content: Any, random: np.random.Generator) -> Any:
    """A JSON value with one to three of its parts replaced, dropped, renamed or doubled."""
    out = copy.deepcopy(content)
    for _ in range(random.integers(1, 4)):
        node, parents = out, []
        while isinstance(node, dict | list) and node and random.integers(4):
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = keys[int(random.integers(len(keys)))]
            parents.append((node, key))
            node = node[key]
        value = copy.deepcopy(HOSTILE_VALUES[int(random.integers(len(HOSTILE_VALUES)))])
        if not parents:
            out = value if random.integers(8) == 0 else out
            continue
        parent, key = parents[-1]
        choice = random.integers(4)
        if choice == 0:
            del parent[key]
        elif choice == 1 and isinstance(parent, dict):
            parent[str(value)[:50]] = parent.pop(key)
        elif choice == 2 and isinstance(parent, list):
            parent.append(copy.deepcopy(node))
        else:
            parent[key] = value
    return out


def as_bytes(content: Any) -> bytes:
    """JSON as a stranger may write it, lone surrogates and NaN included."""
    return json.dumps(content).encode("utf-8")


def fuzz(
    name: str,
    path: Path,
    inputs: Iterator[bytes],
    read: Callable[[], Any],
    *,
    root: Path | None = None,
    announce: Callable[[str], None] = print,
) -> None:
    """Write each of `inputs` to `path` and `read`: a value or a Refusal that is one line; print how many were tried."""
    tried = refused = 0
    for content in inputs:
        path.write_bytes(content)
        tried += 1
        try:
            with nothing_but_reading(root or path.parent):
                read()
        except Refusal as refusal:
            refused += 1
            assert len(str(refusal).splitlines()) == 1, str(refusal)
        except Exception as error:
            said = f"{name}, input {tried}: {type(error).__name__}: {error}"
            raise AssertionError(f"{said}; {content[:2000]!r}") from error
    announce(f"hostile files, {name}: {tried} inputs, {refused} refused, {tried - refused} read as a value")
    assert tried
