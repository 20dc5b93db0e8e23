"""Runs another room's command with its output kept in a log and, on a terminal, shown as it comes."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from results.lifeline import ending_with_this_process

CHUNK_BYTES = 65_536


def run_logged(command: Sequence[str], log: Path, *, echo: bool) -> int:
    """Run `command`, write all it prints to `log`, and return its exit status (negative: killed by that signal).

    With `echo` the command writes to a pseudo-terminal, so that its progress bars move, and every byte is passed on.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        file.write(f"$ {' '.join(command)}\n".encode())
        file.flush()
        if not echo:
            return _wait(_started(command, file.fileno()))
        ours, theirs = pty.openpty()
        process = _started(command, theirs)
        os.close(theirs)
        try:
            while chunk := _read(ours):
                file.write(chunk)
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
        finally:
            os.close(ours)
        return _wait(process)


def last_lines(log: Path, count: int = 12) -> list[str]:
    """The last lines of a log that hold text; of a line that was redrawn in place, its last state."""
    text = log.read_bytes().decode("utf-8", errors="replace")  # read_text would take a lone \r for a line's end
    lines = [line.split("\r")[-1].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    return [line for line in lines if line][-count:]


def _started(command: Sequence[str], output: int) -> "subprocess.Popen[bytes]":
    # A command that outlived a killed `reproduce` would hold its run folder against the next one.
    tied = ending_with_this_process()
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=tied)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, CHUNK_BYTES)
    except OSError:  # Linux reports the end of a pseudo-terminal as an input/output error
        return b""


def _wait(process: "subprocess.Popen[bytes]") -> int:
    try:
        return process.wait()
    except KeyboardInterrupt:
        # The child received the same interrupt; give it time to write its state before the second one.
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            process.wait()
        raise
