"""SIGTERM, SIGUSR1 and a cluster's own warning become "save at the next step and leave"."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

REQUEUE_STATUS = 75
"""Exit status that means: saved, run the same command again (BSD's EX_TEMPFAIL)."""

WARNINGS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Until training takes over there is nothing to save: a warning ends this process with the requeue status.

    A handler that was there before (submitit's) is called first; it may not return.
    """
    before: dict[int, Any] = {}

    def leave(number: int, frame: FrameType | None) -> None:
        handler = before.get(number)
        if callable(handler):
            handler(number, frame)
        raise SystemExit(REQUEUE_STATUS)

    for warning in WARNINGS:
        before[warning] = signal.signal(warning, leave)
    try:
        yield
    finally:
        for warning in WARNINGS:
            signal.signal(warning, before[warning])


class Interruption:
    """While entered, remembers that a warning came. `requested` is its number, or 0.

    Handlers that were there before (submitit's, which requeues the job) are called by `pass_on`, after the save.
    """

    def __init__(self) -> None:
        self.requested = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in WARNINGS:
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def pass_on(self) -> None:
        """Call the handler that was there before for the warning that came; it may not return."""
        handler = self._before.get(self.requested)
        if callable(handler):
            handler(self.requested, None)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.requested = number
