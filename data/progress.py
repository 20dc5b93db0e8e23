"""Progress of long loops: a bar with the time left on a terminal, a plain line now and then in a log file."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 15.0


def track(iterable: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items of `iterable`, showing on stderr how far it is and how long the rest will take.

    `total` is taken from `len(iterable)` when it is not given. Ranks above 0 (environment variable RANK) stay silent.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    if os.environ.get("RANK", "0") != "0":
        yield from iterable
    elif sys.stderr.isatty():
        yield from _with_bar(iterable, description, total)
    else:
        yield from _with_lines(iterable, description, total)


def _with_bar(iterable: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    # rich takes a while to import, and most processes never show a bar.
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
        rich_progress.TextColumn("left"),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True)) as shown:
        yield from shown.track(iterable, total=total, description=description)


def _with_lines(iterable: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    started = last = time.monotonic()
    for done, item in enumerate(iterable, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            print(progress_line(description, done, total, now - started), file=sys.stderr, flush=True)


def progress_line(description: str, done: int, total: int | None, seconds: float) -> str:
    """One line of a log: "features: 300 of 1200, 25 %, 10.0/s, 1m30s left"."""
    rate = done / max(seconds, 1e-9)
    if not total:
        return f"{description}: {done}, {rate:.1f}/s"
    left = round((total - done) / rate)
    return (
        f"{description}: {done} of {total}, {100 * done // total} %, {rate:.1f}/s, {left // 60}m{left % 60:02d}s left"
    )
