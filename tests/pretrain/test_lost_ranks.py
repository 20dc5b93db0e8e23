"""A rank that is lost ends all of them soon, and is named in one line; ranks that mean different things never start."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import ranks
import small

from pretrain import agreement
from results.refusal import Refusal

pytestmark = pytest.mark.distributed
WORKER = Path(__file__).with_name("lost_rank_worker.py")
SOON = 40.0
SLOW = pytest.mark.slow


def started(lines: list[list[str]], folder: Path, port: int = 0, **more: str) -> "list[subprocess.Popen[bytes]]":
    """One process for each rank's arguments; rank r prints into folder/r.log."""
    port = port or ranks.free_port()
    processes = []
    for rank, line in enumerate(lines):
        environment = ranks.environment(rank, len(lines), port) | more
        with (folder / f"{rank}.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, *line], env=environment, cwd=ranks.ROOT, stdout=log, stderr=log)
        processes.append(process)
    return processes


def ended(processes: "list[subprocess.Popen[bytes]]", seconds: float = 120) -> list[int]:
    """The exit statuses; nothing outlives this."""
    deadline = time.monotonic() + seconds
    try:
        return [process.wait(max(0.1, deadline - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def errors(folder: Path) -> list[str]:
    """Every line that any rank has printed as an error."""
    logs = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.log"))]
    assert not any("Traceback" in log for log in logs), "\n".join(logs)
    return [line for log in logs for line in log.splitlines() if line.startswith("error: ")]


def lost(what: str, rank: int, size: int, folder: Path, timeout: float = 60.0) -> tuple[list[int], list[str], float]:
    """Statuses, error lines and seconds from the loss to the last end, when `rank` of `size` does `what`."""
    processes = started([[str(WORKER), what, str(rank), str(timeout)]] * size, folder)
    _wait_for(lambda: all("working" in (folder / f"{r}.log").read_text() for r in range(size)), processes)
    began = time.monotonic()
    if what == "killed":
        processes[rank].kill()
    if what == "stopped":
        processes[rank].send_signal(signal.SIGSTOP)
    others = [process for other, process in enumerate(processes) if other != rank or what not in ("killed", "stopped")]
    try:
        for process in others:
            process.wait(SOON + timeout)
        seconds = time.monotonic() - began
        processes[rank].kill()  # one that is stopped would stay so
    finally:
        statuses = ended(processes)
    return [status for r, status in enumerate(statuses) if r != rank], errors(folder), seconds


def _wait_for(condition: Callable[[], bool], processes: "list[subprocess.Popen[bytes]]") -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            ended(processes, 1)
            raise AssertionError("the ranks did not begin")
        time.sleep(0.05)


@pytest.mark.parametrize(("rank", "size"), [(1, 2), (0, 2), pytest.param(2, 4, marks=SLOW)])
def test_a_killed_rank_is_named_and_the_others_end(rank: int, size: int, tmp_path: Path) -> None:
    statuses, said, seconds = lost("killed", rank, size, tmp_path)
    assert statuses == [1] * (size - 1)
    assert len(said) == 1
    assert f"rank {rank}" in said[0] and ("died" in said[0] or "gone" in said[0])
    assert seconds < SOON


@pytest.mark.parametrize("what", ["hangs", pytest.param("stopped", marks=SLOW)])
@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=SLOW)])
def test_a_hanging_rank_is_named_when_the_time_is_up(what: str, rank: int, tmp_path: Path) -> None:
    _, said, seconds = lost(what, rank, 2, tmp_path, timeout=4.0)
    assert len(said) == 1
    assert f"rank {rank}" in said[0]
    if what == "hangs":
        assert "hangs at tests/pretrain/lost_rank_worker.py:" in said[0]
    assert seconds < SOON


@pytest.mark.parametrize(
    ("what", "size"),
    [("MemoryError", 2), *(pytest.param(*case, marks=SLOW) for case in (
        ("OutOfMemoryError", 2), ("allocator", 2), ("MemoryError", 4)
    ))],
)  # fmt: skip
def test_a_rank_without_memory_says_so_and_the_others_say_that_it_did(what: str, size: int, tmp_path: Path) -> None:
    statuses, said, seconds = lost(what, 1, size, tmp_path)
    assert statuses == [1] * (size - 1)
    assert len(said) == 2
    assert all("rank 1 ran out of memory" in line for line in said)
    assert seconds < SOON


@pytest.mark.parametrize(("rank", "size"), [(0, 2), pytest.param(2, 4, marks=SLOW)])
def test_a_refusal_on_one_rank_ends_the_others(rank: int, size: int, tmp_path: Path) -> None:
    statuses, said, _ = lost("Refusal", rank, size, tmp_path)
    assert statuses == [1] * (size - 1)
    assert len(said) == 2 and "error: the folder is in use" in said
    assert any(line.startswith(f"error: rank {rank} ended: Refusal: the folder is in use") for line in said)


def test_ranks_that_end_well_end_at_once(tmp_path: Path) -> None:
    statuses, said, seconds = lost("nothing", 0, 3, tmp_path)
    assert statuses == [0, 0] and said == []
    assert seconds < 10


@pytest.mark.parametrize("what", ["recipe", *(pytest.param(w, marks=SLOW) for w in ("data set", "code", "seed"))])
def test_ranks_that_were_given_something_else_are_refused_everywhere(what: str, images: Path, tmp_path: Path) -> None:
    line = ["-m", "pretrain", "demo", "--run.data", str(images), "--run.output", str(tmp_path / "run"), *small.OPTIONS]
    line += ["--run.skip-doctor"]
    lines, more = [line, list(line)], {}
    if what == "recipe":
        lines[1] += ["--recipe.projector-width", "24"]
    elif what == "seed":
        lines[1] += ["--run.seed", "5"]
    elif what == "data set":
        other = shutil.copytree(images, tmp_path / "other")
        next((other / "train" / "a").iterdir()).unlink()
        shutil.copyfile(next((other / "train" / "b").iterdir()), other / "train" / "a" / "new.JPEG")
        lines[1][lines[1].index("--run.data") + 1] = str(other)
    else:
        lines[1] = ["-c", _WITH_OTHER_CODE, *line[1:]]
    statuses = ended(started(lines, tmp_path, **more))
    assert statuses == [2, 2]
    (said,) = errors(tmp_path)
    assert said.startswith(f"error: the ranks differ in {what}: ")
    assert " on rank 0, " in said and " on rank 1; " in said
    assert not (tmp_path / "run").exists()


_WITH_OTHER_CODE = """
import runpy, sys
from pretrain import agreement
agreement._code_digest = lambda: "1234abcd"
sys.argv = sys.argv[1:]
runpy.run_module("pretrain", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
def test_an_evaluations_ranks_must_mean_the_same_too(digits_root: Path, tmp_path: Path) -> None:
    line = ["-m", "evaluate", "linear-demo", "--run.checkpoint", "random-init", "--run.skip-doctor"]
    line += ["--run.data", str(digits_root / "imagenet"), "--run.output", str(tmp_path / "run")]
    line += ["--run.records", str(tmp_path / "records")]
    assert ended(started([line, [*line, "--protocol.epochs", "3"]], tmp_path)) == [2, 2]
    (said,) = errors(tmp_path)
    assert said.startswith("error: the ranks differ in protocol: ")
    assert not (tmp_path / "run").exists()


def test_what_one_rank_refuses_ends_all_with_its_reason(images: Path, tmp_path: Path) -> None:
    line = ["-m", "pretrain", "demo", "--run.output", str(tmp_path / "run"), *small.OPTIONS, "--run.skip-doctor"]
    good, bad = [*line, "--run.data", str(images)], [*line, "--run.data", str(tmp_path / "nowhere")]
    assert ended(started([good, bad], tmp_path)) == [2, 2]
    (said,) = errors(tmp_path)
    assert said.startswith("error: rank 1: ") and "nowhere" in said


def test_a_port_in_use_is_one_line(images: Path, tmp_path: Path) -> None:
    line = ["-m", "pretrain", "demo", "--run.data", str(images), "--run.output", str(tmp_path / "run"), *small.OPTIONS]
    line += ["--run.skip-doctor", "--run.timeout-minutes", "0.05"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        statuses = ended(started([line, line], tmp_path, port=port))
    assert statuses[0] == 2
    said = errors(tmp_path)
    assert said[0].startswith(f"error: port {port}, at which the ranks should meet, is in use")
    assert statuses[1] == 1 and "did not within 0.05 minutes" in said[1]


def test_one_command_given_to_both_ranks_is_no_disagreement() -> None:
    claims = {"recipe": "ab", "seed": "0"}
    assert agreement.disagreement([("", claims), ("", dict(claims))]) == ""
    assert agreement.disagreement([("", claims), ("", claims), ("", {**claims, "seed": "1"})]) == (
        "the ranks differ in seed: 0 on ranks 0, 1, 1 on rank 2; start every rank with the same command, code and data"
    )
    assert agreement.disagreement([("no such file", {})] * 2) == "no such file"
    assert agreement.disagreement([("", claims), ("no such file", {})]) == "rank 1: no such file"


def test_alone_a_refusal_stays_where_it_is() -> None:
    def refuse() -> int:
        raise Refusal("no")

    assert "WORLD_SIZE" not in os.environ
    with pytest.raises(Refusal, match=r"^no$"):
        agreement.carried(refuse)
