"""All cells for one checkpoint: every stage in order, going on after a failure, with one summary at the end."""

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from results.checkpoints import checkpoint_digest
from results.commands import read_aloud
from results.doctor import examine, show
from results.records import Record, read_records
from results.refusal import Refusal
from results.runner import last_lines, run_logged
from results.tasks import Request, Task, records_of, seems_done, tasks_of

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


def reproduce(request: Request, *, dry_run: bool = False, skip_doctor: bool = False) -> int:
    """Run every task that still has to be run; 0 when none failed, else 1.

    Before the first task that is not done the doctor looks at everything it needs, unless told not to.

    Raises:
        Refusal: the doctor found a problem.
    """
    tasks = tasks_of(request)
    digests = {checkpoint: checkpoint_digest(checkpoint) for checkpoint in {task.checkpoint for task in tasks}}
    records, _ = read_aloud(request.records)
    done = [task for task in tasks if seems_done(task, records, digests[task.checkpoint])]
    waiting = [task for task in tasks if task.data is not None and task not in done]
    if waiting and not (dry_run or skip_doctor):
        _ask_doctor(waiting, request)
    clock = Clock(sum(task.expected_seconds for task in waiting))
    results = []
    for index, task in enumerate(tasks, start=1):
        if not dry_run:
            print(f"[{index}/{len(tasks)}] {task.name} ...", flush=True)
        result = _dry(task, done) if dry_run else run_task(task, request, digests[task.checkpoint])
        if task in waiting:
            clock.count(result)
        results.append(result)
        _announce(result, index, len(tasks), "" if dry_run else f" ({clock.line()})")
    _summarize(results)
    return int(any(result.state == "failed" for result in results))


def run_task(task: Task, request: Request, digest: str) -> Result:
    """Run one task's command; the room skips by itself what has a valid record. `digest` is its checkpoint's."""
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
    state: State = "measured" if new else "done already"
    return Result(task, state, seconds, tuple(new) or records_of(task, after, digest), log)


def _ask_doctor(waiting: Sequence[Task], request: Request) -> None:
    stages = list(dict.fromkeys(task.stage for task in waiting))
    roots: dict[str, Path] = {task.stage.source: task.data for task in waiting if task.data is not None}
    findings = examine(roots, request.checkpoint, request.root, stages, full_size=request.scale == "paper")
    if any(finding.state == "problem" for finding in findings):
        show(findings)
        raise Refusal("the doctor found what is marked ✗ above; mend it, or give --skip-doctor to go on regardless")
    print(f"doctor: {len(findings)} findings, no problem")


def clock_time(seconds: float) -> str:
    """Seconds as "m:ss" or "h:mm:ss"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _dry(task: Task, done: Sequence[Task]) -> Result:
    state: State = "no data" if task.data is None else "done already" if task in done else "would run"
    return Result(task, state, 0.0)


def _announce(result: Result, index: int, total: int, times: str) -> None:
    took = f" in {clock_time(result.seconds)}" if result.state in ("measured", "failed") else ""
    values = ", ".join(f"{r.cell} {r.measurement.value:.1f} {r.measurement.unit}" for r in result.records)
    words = f"{SYMBOLS[result.state]} {result.task.name}: {result.state}{took}{': ' + values if values else ''}"
    print(f"[{index}/{total}] {words}{times}", flush=True)
    if result.state == "would run":
        print(f"    {shlex.join(result.task.command)}")
    if result.state == "failed" and result.log is not None:
        for line in last_lines(result.log):
            print(f"    | {line}")
        print(f"    the whole log: {result.log}", flush=True)


def _summarize(results: Sequence[Result]) -> None:
    states = [result.state for result in results]
    print(", ".join(f"{states.count(state)} {state}" for state in SYMBOLS if state in states) or "nothing to run")
    for result in results:
        if result.state == "failed":
            print(f"failed: {result.task.name} (log: {result.log}); again: {shlex.join(result.task.command)}")
    if sources := sorted({result.task.stage.source for result in results if result.state == "no data"}):
        print(f"no data root was given for {', '.join(sources)}; give --{' DIR --'.join(sources)} DIR to measure them")
