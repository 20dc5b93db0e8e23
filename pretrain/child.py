"""A command as a child that gets this process's signals, so that killing the parent saves the child's work."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from types import FrameType

from pretrain.interrupt import REQUEUE_STATUS, WARNINGS
from results.lifeline import ending_with_this_process

INTERRUPTED = (REQUEUE_STATUS, -signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)
"""Statuses of a child that was told to leave."""


def call(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run `command` to its end and return its status; SIGINT, SIGTERM and a cluster's warnings are passed on to it."""
    child = subprocess.Popen(command, env=environment, preexec_fn=ending_with_this_process())
    told = 0

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = number
        child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, *WARNINGS)}
    try:
        status = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    # A child that finished in spite of the signal is done, but what would come next must not start.
    return REQUEUE_STATUS if told else status
