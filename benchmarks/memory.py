"""Peak memory that a piece of work adds to the process, measured as the operating system sees it.

A tensor library's own counter misses what matrix libraries allocate elsewhere, so the peak of the resident set is read
(Linux: VmHWM, which can be reset). Every tensor must come from the system and return to it, or memory that an earlier
allocation left in the process would hide a later one: hence a process of its own for each side, with glibc's threshold
for mapping memory held at 64 KB, and a warm-up on small inputs that loads the libraries.
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

from benchmarks import loss, textbook
from benchmarks.child import Unmeasurable
from benchmarks.harness import Outcome

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
ROUNDS = 3
MIB = 2**20


def loss_memory() -> Outcome:
    """Ours over the baseline's at n = 256, d = 8192: forward and backward with both gradients, inputs not counted."""
    return measure(256, loss.DIMENSIONS)


def measure(count: int, dimensions: int) -> Outcome:
    """Both sides in fresh processes, in turns."""
    if not RESET.exists():
        raise Unmeasurable("the peak of the resident set can only be reset on Linux")
    ours, baseline = [], []
    for _ in range(ROUNDS):
        ours.append(in_fresh_process("ours", count, dimensions))
        baseline.append(in_fresh_process("baseline", count, dimensions))
    ratios = [mine / theirs for mine, theirs in zip(ours, baseline, strict=True)]
    details = {"n": count, "d": dimensions, "ours_bytes": ours, "baseline_bytes": baseline}
    return Outcome(median(ratios), min(ratios), max(ratios), _mebibytes(ours), _mebibytes(baseline), details)


def in_fresh_process(side: str, count: int, dimensions: int) -> int:
    """Extra peak bytes of one side's loss, forward and backward."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_of_loss, side, count, dimensions).result()


def extra_peak(work: Callable[[], object]) -> int:
    """Bytes by which the resident set peaked during `work` above where it stood before."""
    RESET.write_text("5", encoding="ascii")  # 5: forget the peak so far
    before = _status_bytes("VmRSS")
    work()
    return _status_bytes("VmHWM") - before


def _of_loss(side: str, count: int, dimensions: int) -> int:
    chosen = loss.suite_loss() if side == "ours" else textbook.loss
    loss.work(chosen, *loss.embeddings(64, 128))()
    z_a, z_b = loss.embeddings(count, dimensions)
    return extra_peak(loss.work(chosen, z_a, z_b))


def _status_bytes(field: str) -> int:
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise Unmeasurable(f"{STATUS} has no {field}")


def _mebibytes(sizes: list[int]) -> str:
    return f"{median(sizes) / MIB:.0f} MiB"
