"""The run's log: one JSON line per logged step, the same numbers for TensorBoard, and events beside them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results import atomic, json_lines


class Journal:
    """Appends to `folder`/log.jsonl. A resumed run first drops the lines of steps it is about to repeat."""

    def __init__(self, folder: Path, *, first_step: int, tensorboard: bool) -> None:
        self.path = folder / "log.jsonl"
        _drop_from(self.path, first_step)
        self.writer = _tensorboard(folder, first_step) if tensorboard else None

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of one step. A number that is not finite becomes null."""
        self._append({"step": step, **values})
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def event(self, step: int, name: str, **details: Any) -> None:
        """Write what happened at a step: "start", "resume", "checkpoint", "interrupted", "stopped", "done"."""
        self._append({"step": step, "event": name, **details})

    def close(self) -> None:
        """Flush what TensorBoard still holds."""
        if self.writer is not None:
            self.writer.close()

    def _append(self, line: Mapping[str, Any]) -> None:
        finite = {key: None if value != value or value in (float("inf"), float("-inf")) else value
                  for key, value in line.items()}  # fmt: skip
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite, allow_nan=False) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The metric lines of a log, in order; events and lines that are damaged or cut short by a crash are left out."""
    return [line for line in _lines(path) if "event" not in line]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [line for line in json_lines.read(path)[0] if isinstance(line.get("step"), int)]


def _drop_from(path: Path, step: int) -> None:
    # Events stay: that a run was interrupted remains true after its steps are repeated.
    kept = [line for line in _lines(path) if "event" in line or line["step"] < step]
    atomic.write_text(path, "".join(json.dumps(line) + "\n" for line in kept))


def _tensorboard(folder: Path, first_step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)
