"""Killed with SIGKILL at random moments and started again each time, a run ends with the bits of an undisturbed one."""

import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import ranks
import small

from pretrain.journal import read_metrics

MEASURED_TIME = {"images_per_second", "data_wait_share", "peak_memory_bytes"}
KILLS = {1: 20, 2: 20}
MOST_LIVES = 60


def command(images: Path, folder: Path) -> list[str]:
    # A state after nearly every step, so that kills fall into writing as often as into computing.
    return [
        "-m", "pretrain", "demo", "--run.data", str(images), "--run.output", str(folder), *small.OPTIONS,
        "--run.checkpoint-every-minutes", "0.005",
    ]  # fmt: skip


def losses(folder: Path) -> list[dict[str, Any]]:
    lines = read_metrics(folder / "log.jsonl")
    return [{key: value for key, value in line.items() if key not in MEASURED_TIME} for line in lines]


def live_for(seconds: float, processes: list[subprocess.Popen[bytes]]) -> list[int | None]:
    """Let the ranks run for so long at most, then kill them all; the exit statuses (None: killed)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(0.01)
    statuses = [process.poll() for process in processes]
    for process in processes:
        process.kill()
        process.wait()
    return statuses


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.parametrize("count", [1, 2], ids=["1 rank", "2 ranks"])
def test_twenty_kills_lose_nothing(count: int, images: Path, tmp_path: Path) -> None:
    whole, struck = tmp_path / "whole", tmp_path / "struck"
    began = time.monotonic()
    assert ranks.run(command(images, whole), count, timeout=600) == [0] * count
    life = time.monotonic() - began
    moments = random.Random(count)
    kills, lives = 0, 0
    while kills < KILLS[count]:
        lives += 1
        assert lives <= MOST_LIVES, f"only {kills} kills in {lives} lives"
        # From the start of the process to a little after the end of a whole run.
        if None in live_for(moments.uniform(0.2, 1.05) * life, ranks.start(command(images, struck), count)):
            kills += 1
        if (struck / "resnet50.pth.json").exists() and kills < KILLS[count]:
            compare(whole, struck)
            for path in sorted(struck.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
    assert ranks.run(command(images, struck), count, timeout=600) == [0] * count
    compare(whole, struck)
    print(f"{kills} kills in {lives} lives on {count} rank(s), none lost")


def compare(whole: Path, struck: Path) -> None:
    """The same weights to the bit, and the same logged numbers."""
    assert losses(struck) == losses(whole)
    assert small.digest(struck / "resnet50.pth") == small.digest(whole / "resnet50.pth")
