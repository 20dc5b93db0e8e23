"""All cells for one checkpoint: every stage in order, going on after a failure, with one summary at the end."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from results.records import Record, read_records
from results.runner import last_lines, run_logged
from results.tasks import Request, Task, checkpoint_digest, seems_done, tasks_of

State = Literal["measured", "done already", "failed", "no data", "would run"]
SYMBOLS: dict[State, str] = {"measured": "✓", "done already": "=", "failed": "✗", "no data": "·", "would run": "→"}


@dataclass(frozen=True)
class Result:
    """How one task ended; `records` are those of its cells, `log` what its command printed."""

    task: Task
    state: State
    seconds: float
    records: tuple[Record, ...] = ()
    log: Path | None = None


@dataclass
class Clock:
    """Elapsed time, and the time left judged by how the tasks run so far compare with what was expected of them."""

    remaining: float
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0
    expected: float = 0.0

    def count(self, result: Result) -> None:
        """Take a finished task out of what remains."""
        self.remaining -= result.task.expected_seconds
        if result.state in ("measured", "failed"):
            self.spent += result.seconds
            self.expected += result.task.expected_seconds

    def line(self) -> str:
        """ "1:23 elapsed, about 4:56 left"."""
        pace = self.spent / self.expected if self.expected else 1.0
        elapsed = time.monotonic() - self.started
        return f"{clock_time(elapsed)} elapsed, about {clock_time(max(0.0, self.remaining) * pace)} left"


def reproduce(request: Request, *, dry_run: bool = False) -> int:
    """Run every task that still has to be run; 0 when none failed, else 1."""
    tasks = tasks_of(request)
    digests = {checkpoint: checkpoint_digest(checkpoint) for checkpoint in {task.checkpoint for task in tasks}}
    records, warnings = read_records(request.records)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    done = [task for task in tasks if seems_done(task, records, digests)]
    clock = Clock(sum(task.expected_seconds for task in tasks if task.data and task not in done))
    results = []
    for index, task in enumerate(tasks, start=1):
        print(f"[{index}/{len(tasks)}] {task.name} ...", flush=True)
        result = _dry(task, done) if dry_run else run_task(task, request)
        if task not in done:
            clock.count(result)
        results.append(result)
        _announce(result, index, len(tasks), clock)
    _summarize(results)
    return int(any(result.state == "failed" for result in results))


def run_task(task: Task, request: Request) -> Result:
    """Run one task's command; the room skips by itself what has a valid record."""
    if task.data is None:
        return Result(task, "no data", 0.0)
    before, _ = read_records(request.records)
    log = request.root / "logs" / f"{task.file_name}.log"
    started = time.monotonic()
    status = run_logged(task.command, log, echo=sys.stdout.isatty())
    seconds = time.monotonic() - started
    after, _ = read_records(request.records)
    new = [record for record in after if record not in before]
    text = log.read_text(encoding="utf-8", errors="replace")
    told = all(f"{cell}: done already" in text for cell in task.stage.cells)
    if status or not (new or told):
        return Result(task, "failed", seconds, (), log)
    return Result(task, "measured" if new else "done already", seconds, tuple(new), log)


def clock_time(seconds: float) -> str:
    """Seconds as "m:ss" or "h:mm:ss"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _dry(task: Task, done: Sequence[Task]) -> Result:
    state: State = "no data" if task.data is None else "done already" if task in done else "would run"
    if state == "would run":
        print("    " + " ".join(task.command))
    return Result(task, state, 0.0)


def _announce(result: Result, index: int, total: int, clock: Clock) -> None:
    values = ", ".join(f"{r.cell} {r.measurement.value:.1f} {r.measurement.unit}" for r in result.records)
    print(
        f"[{index}/{total}] {SYMBOLS[result.state]} {result.task.name}: {result.state}"
        f" in {clock_time(result.seconds)}{': ' + values if values else ''} ({clock.line()})",
        flush=True,
    )
    if result.state == "failed" and result.log is not None:
        for line in last_lines(result.log):
            print(f"    | {line}")
        print(f"    the whole log: {result.log}", flush=True)


def _summarize(results: Sequence[Result]) -> None:
    states = [result.state for result in results]
    print(", ".join(f"{states.count(state)} {state}" for state in SYMBOLS if state in states) or "nothing to run")
    for result in results:
        if result.state == "failed":
            print(f"failed: {result.task.name} (log: {result.log}); again: {' '.join(result.task.command)}")
    if sources := sorted({result.task.stage.source for result in results if result.state == "no data"}):
        print(f"no data root was given for {', '.join(sources)}; give --{' DIR --'.join(sources)} DIR to measure them")
