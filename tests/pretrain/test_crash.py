"""Struck by signals at random moments and started again each time, a run ends with the bits of an undisturbed one."""

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import ranks
import small

from pretrain.interrupt import REQUEUE_STATUS
from pretrain.journal import read_metrics
from tests import crash

MEASURED_TIME = {"images_per_second", "data_wait_share", "peak_memory_bytes"}
KILLS = {1: 20, 2: 20}
MOST_LIVES = 60


def command(images: Path, folder: Path) -> list[str]:
    # A state after nearly every step, so that kills fall into writing as often as into computing.
    return [
        "-m", "pretrain", "demo", "--run.data", str(images), "--run.output", str(folder), *small.OPTIONS,
        "--run.checkpoint-every-minutes", "0.005", "--run.skip-doctor",
    ]  # fmt: skip


def losses(folder: Path) -> list[dict[str, Any]]:
    lines = read_metrics(folder / "log.jsonl")
    return [{key: value for key, value in line.items() if key not in MEASURED_TIME} for line in lines]


def compare(whole: Path, struck: Path) -> None:
    """The same weights to the bit, and the same logged numbers."""
    assert losses(struck) == losses(whole)
    assert small.digest(struck / "resnet50.pth") == small.digest(whole / "resnet50.pth")
    crash.assert_nothing_left(struck)


def struck_alone(images: Path, folder: Path, *, kills: int, others: tuple[int, ...], workers: int) -> str:
    whole, struck = folder / "whole", folder / "struck"
    more = ["--run.workers", str(workers)]
    life = crash.Command([*command(images, whole), *more], folder / "whole.log").finish()

    def done() -> None:
        compare(whole, struck)
        shutil.rmtree(struck)

    line = crash.Command([*command(images, struck), *more], folder / "struck.log")
    return crash.survive(line, kills=kills, seed=1, life=life, done=done, others=others)


def test_two_kills_lose_nothing(images: Path, tmp_path: Path) -> None:
    print("\ncrash matrix: pretrain, quick:", struck_alone(images, tmp_path, kills=2, others=(), workers=0))


@pytest.mark.slow
def test_twenty_kills_and_both_warnings_lose_nothing(images: Path, tmp_path: Path) -> None:
    warnings = (signal.SIGTERM, signal.SIGUSR1)
    counts = struck_alone(images, tmp_path, kills=KILLS[1], others=warnings, workers=1)
    print("\ncrash matrix: pretrain:", counts)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.slow)])
def test_a_warning_during_training_is_answered_with_a_saved_state(number: int, images: Path, tmp_path: Path) -> None:
    line = [*command(images, tmp_path / "run"), "--run.checkpoint-every-minutes", "100"]
    process = crash.Command(line, tmp_path / "log").start()
    while not read_metrics(tmp_path / "run" / "log.jsonl"):
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == REQUEUE_STATUS
    assert len(list((tmp_path / "run" / "checkpoints").glob("step_*.pt"))) == 1


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
def test_twenty_kills_of_two_ranks_lose_nothing(images: Path, tmp_path: Path) -> None:
    whole, struck = (
        [*command(images, tmp_path / name), "--recipe.epochs", "1", "--recipe.warmup-epochs", "0"]
        for name in ("whole", "struck")
    )
    began = time.monotonic()
    assert ranks.run(whole, 2, timeout=600) == [0, 0]
    life = time.monotonic() - began
    moments = random.Random(2)
    kills, lives = 0, 0
    while kills < KILLS[2]:
        lives += 1
        assert lives <= MOST_LIVES, f"only {kills} kills in {lives} lives"
        # From the start of the processes to a little after the end of a whole run.
        if None in live_for(moments.uniform(0.2, 1.05) * life, ranks.start(struck, 2)):
            kills += 1
        if (tmp_path / "struck" / "resnet50.pth.json").exists() and kills < KILLS[2]:
            compare(tmp_path / "whole", tmp_path / "struck")
            shutil.rmtree(tmp_path / "struck")
    assert ranks.run(struck, 2, timeout=600) == [0, 0]
    compare(tmp_path / "whole", tmp_path / "struck")
    print(f"\ncrash matrix: pretrain, two ranks: {kills} SIGKILL of both ranks, {lives} lives; life {life:.1f} s")


@pytest.mark.slow
@pytest.mark.distributed
def test_ranks_of_a_killed_torchrun_end_with_it(images: Path, tmp_path: Path) -> None:
    launcher = ["-m", "pretrain.torchrun", "--nproc-per-node", "2"]
    line = [*launcher, *command(images, tmp_path / "run"), "--recipe.epochs", "2000"]
    torchrun = crash.Command(line, tmp_path / "log")
    process = torchrun.start()
    while not read_metrics(tmp_path / "run" / "log.jsonl"):
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.05)
    assert len(torchrun.alive()) >= 3
    process.kill()
    process.wait()
    torchrun.assert_no_orphan()


@pytest.mark.slow
@pytest.mark.distributed
def test_a_warning_to_one_of_two_ranks_makes_both_save_and_leave(images: Path, tmp_path: Path) -> None:
    line = [*command(images, tmp_path / "run"), "--run.checkpoint-every-minutes", "100", "--recipe.epochs", "50"]
    processes = ranks.start(line, 2)
    try:
        while not read_metrics(tmp_path / "run" / "log.jsonl"):
            assert all(process.poll() is None for process in processes)
            time.sleep(0.05)
        processes[1].send_signal(signal.SIGTERM)
        assert [process.wait(60) for process in processes] == [REQUEUE_STATUS] * 2
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert len(list((tmp_path / "run" / "checkpoints").glob("step_*.pt"))) >= 1
