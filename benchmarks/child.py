"""One row measured in a process of its own, so that no row inherits another's memory, threads or caches.

`python -m benchmarks.child ROW FILE` writes the row's `Outcome` as JSON to FILE; or, where the row cannot be measured
on this machine, {"skipped": why}.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.harness import Outcome
from benchmarks.rows import ROWS, Row

ROOT = Path(__file__).parents[1]


class Unmeasurable(Exception):  # noqa: N818 - nothing went wrong, this machine only lacks something
    """The row needs something this machine does not have; the message says what."""


def measured(row: Row) -> dict[str, Any]:
    """`row`'s result from a fresh process with the row's number of threads: outcome, or why there is none.

    The returned mapping has "status" "measured", "skipped" or "failed", and either the fields of an `Outcome` or a
    "reason".
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        file = Path(folder) / "outcome.json"
        command = [sys.executable, "-m", "benchmarks.child", row.name, str(file)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment(row.threads), capture_output=True, text=True, check=False,
                timeout=row.time_limit_seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"status": "failed", "reason": f"took longer than {row.time_limit_seconds} s"}
        if not file.exists():
            return {"status": "failed", "reason": _last_line(done.stderr) or f"exit status {done.returncode}"}
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return {"status": "skipped", "reason": found["skipped"]} if "skipped" in found else {"status": "measured", **found}


def environment(threads: int) -> dict[str, str]:
    """This process's environment with every numerical library held to `threads` threads."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return os.environ | dict.fromkeys(names, str(threads))


def function(row: Row) -> Callable[[], Outcome]:
    """The function that measures `row`."""
    module, _, name = row.measure.partition(":")
    found: Callable[[], Outcome] = getattr(importlib.import_module(module), name)
    return found


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _main(name: str, file: Path) -> None:
    import torch

    row = next(row for row in ROWS if row.name == name)
    torch.set_num_threads(row.threads)
    try:
        if row.gpu and not torch.cuda.is_available():
            raise Unmeasurable("no CUDA device here")
        found: dict[str, Any] = asdict(function(row)())
    except Unmeasurable as why:
        found = {"skipped": str(why)}
    file.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
