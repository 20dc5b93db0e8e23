"""The harness of the crash matrix: real commands, started, struck at random moments, and started again until done."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from results.folder_lock import sole_user
from results.records import Record, read_records

ROOT = Path(__file__).parents[1]
MOST_LIVES = 60
ORPHAN_SECONDS = 20.0
FIRST_MOMENT, LAST_MOMENT = 0.1, 1.05


@dataclass
class Command:
    """`python -m ...` with its output in `log`; every process of it is known by a variable in its environment."""

    arguments: Sequence[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it in a session of its own."""
        marked = {**os.environ, "OMP_NUM_THREADS": "1", **self.environment, **self._mark}
        with self.log.open("ab") as output:
            line = [sys.executable, *self.arguments]
            return subprocess.Popen(line, cwd=ROOT, env=marked, stdout=output, stderr=output, start_new_session=True)

    def finish(self, seconds: float = 600) -> float:
        """Run it to its end, which must be a good one; how long it took."""
        began = time.monotonic()
        process = self.start()
        try:
            assert process.wait(seconds) == 0, self.tail()
        finally:
            process.kill()
            process.wait()
        return time.monotonic() - began

    def strike(self, number: int, after: float) -> bool:
        """Send a signal to its first process `after` so many seconds; whether it was alive then. Leaves no orphan."""
        process = self.start()
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            status = process.wait(120)
            assert status == -signal.SIGKILL or number != signal.SIGKILL
            struck = True
        else:
            assert process.returncode == 0, self.tail()
            struck = False
        self.assert_no_orphan()
        return struck

    def alive(self) -> list[int]:
        """Every living process of any start of this command."""
        name, value = next(iter(self._mark.items()))
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and has(path, name, value)]

    def assert_no_orphan(self) -> None:
        """All processes are gone, or go within seconds (loaders' workers look for their parent every five)."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while left := self.alive():
            if time.monotonic() > deadline:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"processes {left} outlived their command\n{self.tail()}")
            time.sleep(0.05)

    def tail(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    @property
    def _mark(self) -> dict[str, str]:
        return {"VICREG_CRASH_TEST": str(self.log)}


def has(process: Path, name: str, value: str) -> bool:
    """Whether a process under /proc lives with this variable in its environment."""
    try:
        if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        return f"{name}={value}".encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def survive(
    command: Command, *, kills: int, seed: int, life: float, done: Callable[[], None], others: Sequence[int] = ()
) -> str:
    """Strike with SIGKILL `kills` times and once with each of `others`, at moments spread over a `life`; then finish.

    `done` is called whenever a life ended well: it compares, and clears away what would make the next life idle.
    Returns the counts, for printing.
    """
    moments = random.Random(seed)
    waiting = [signal.SIGKILL] * kills + list(others)
    moments.shuffle(waiting)
    lives = 0
    while waiting:
        lives += 1
        assert lives <= MOST_LIVES, f"{len(waiting)} signals left after {lives} lives"
        if command.strike(waiting[0], moments.uniform(FIRST_MOMENT, LAST_MOMENT) * life):
            waiting.pop(0)
        else:
            done()
    command.finish()
    command.assert_no_orphan()
    done()
    return f"{kills} SIGKILL" + "".join(f", 1 {signal.Signals(number).name}" for number in others) + f", {lives} lives"


def only_records(folder: Path) -> dict[str, Record]:
    """The one record of each cell; fails where there are two, or where a file is damaged."""
    records, warnings = read_records(folder)
    assert not warnings, warnings
    found = {record.cell: record for record in records}
    assert len(found) == len(records), sorted(record.cell for record in records)
    return found


def measured(folder: Path) -> dict[str, Any]:
    """What each cell's record says, less what a clock has said."""
    return {cell: record.measurement for cell, record in only_records(folder).items()}


def assert_nothing_left(*folders: Path) -> None:
    """No half-written file, and no run folder that is still held."""
    for folder in folders:
        partial = [path for path in folder.rglob("*.partial") if path.is_file()]
        assert len(partial) <= 1, partial  # the last kill's own, which the next write takes away
        for lock in folder.rglob(".lock"):
            with sole_user(lock.parent):
                pass
