"""How far a Detectron2 run is, read from the metrics it writes; a bar on a terminal, a line now and then in a log."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from results import json_lines

SECONDS_BETWEEN_LINES = 15.0
TAIL_BYTES = 20_000
_INFERENCE = re.compile(r"Inference done (\d+)/(\d+)\..* ETA=(\S+)")


@dataclass(frozen=True)
class Status:
    """The newest that is known: finished iterations, the loss, and the seconds left of the training."""

    iteration: int
    loss: float | None = None
    seconds_left: float | None = None

    def line(self, total: int) -> str:
        """For a log: "iteration 2000 of 24000, 8 %, loss 0.61, 8h12m left"."""
        words = [f"iteration {self.iteration} of {total}, {100 * self.iteration // total} %"]
        if self.loss is not None:
            words.append(f"loss {self.loss:.3f}")
        if self.seconds_left is not None:
            words.append(f"{duration(self.seconds_left)} left")
        return ", ".join(words)


def duration(seconds: float) -> str:
    """As "8h12m", "3m05s"."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s"


def newest(metrics: Path) -> Status | None:
    """The last whole training line of Detectron2's metrics file, or None when there is none yet.

    A run that was killed may have left half a line, and a resumed one appends behind it.
    """
    for found in reversed(json_lines.parse(_tail(metrics))[0]):
        with suppress(KeyError, TypeError, ValueError, OverflowError):
            left = found.get("eta_seconds")
            seconds = None if left is None else float(left)
            return Status(int(found["iteration"]) + 1, float(found["total_loss"]), seconds)
    return None


def evaluation(line: str) -> str:
    """What a line of Detectron2's log says of the evaluation, as "evaluation: batch 120 of 4952, 0:08:12 left".

    Empty where it says nothing of it.
    """
    found = _INFERENCE.search(line)
    return "evaluation: batch {} of {}, {} left".format(*found.groups()) if found else ""


class Display(Protocol):
    """Something that shows a `Status`."""

    def show(self, status: Status, note: str) -> None:
        """Show the newest status; `note` says what is done beside training."""
        ...


@contextmanager
def display(title: str, total: int) -> Iterator[Display]:
    """A bar on stderr where that is a terminal, else lines."""
    if not sys.stderr.isatty():
        yield _Lines(title, total)
        return
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
        rich_progress.TextColumn("{task.fields[note]}"),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True)) as shown:
        yield _Bar(shown, shown.add_task(title, total=total, note="starting"))


class _Bar:
    def __init__(self, shown: "object", task: int) -> None:
        self._shown, self._task = shown, task

    def show(self, status: Status, note: str) -> None:
        left = f"{duration(status.seconds_left)} left" if status.seconds_left is not None else ""
        self._shown.update(self._task, completed=status.iteration, note=note or left)  # type: ignore[attr-defined]


class _Lines:
    def __init__(self, title: str, total: int) -> None:
        self._title, self._total = title, total
        self._last = time.monotonic()

    def show(self, status: Status, note: str) -> None:
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            print(f"{self._title}: {note or status.line(self._total)}", file=sys.stderr, flush=True)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
