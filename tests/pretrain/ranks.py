"""Starts a command as several gloo ranks on this machine."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def environment(rank: int, ranks: int, port: int) -> dict[str, str]:
    """What torchrun would set, and one thread per rank."""
    announced = {
        "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "MASTER_PORT": port,
    }  # fmt: skip
    return {
        **os.environ, **{name: str(value) for name, value in announced.items()},
        "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(arguments: list[str], ranks: int) -> list[subprocess.Popen[bytes]]:
    """One Python process per rank."""
    port = free_port()
    return [
        subprocess.Popen([sys.executable, *arguments], env=environment(rank, ranks, port), cwd=ROOT)
        for rank in range(ranks)
    ]


def run(arguments: list[str], ranks: int, timeout: float = 240) -> list[int]:
    """Start, wait and return the exit statuses; no process outlives this."""
    processes = start(arguments, ranks)
    try:
        return [process.wait(timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
