"""The course of a run as JSON lines and for TensorBoard; written by the first rank alone."""

import json
import math
from pathlib import Path
from typing import Any

from results import atomic, json_lines

LOG_FILE = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class Journal:
    """Appends one line a call to `folder`/log.jsonl and the same numbers to `folder`/tensorboard."""

    def __init__(self, folder: Path, *, resumed_step: int) -> None:
        """Lines beyond `resumed_step` belong to work that was lost and is done again; they are dropped."""
        # TensorBoard's import takes a second, which tests and short runs on other ranks need not pay.
        from torch.utils.tensorboard.writer import SummaryWriter

        self.path = folder / LOG_FILE
        _keep_lines_until(self.path, resumed_step)
        self.file = self.path.open("a", encoding="utf-8")
        self.board = SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=resumed_step + 1)

    def write(self, step: int, **values: Any) -> None:
        """One line for `step`; numbers are shown in TensorBoard too. A number that is not finite is null."""
        values = {name: None if _is_lost(value) else value for name, value in values.items()}
        self.file.write(json.dumps({"step": step, **values}, allow_nan=False) + "\n")
        self.file.flush()
        for name, value in values.items():
            if isinstance(value, int | float):
                self.board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close both."""
        self.file.close()
        self.board.close()


def _is_lost(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _keep_lines_until(path: Path, step: int) -> None:
    if not path.exists():
        return
    # The line that a kill cut short is dropped too.
    kept = [line for line in json_lines.read(path)[0] if isinstance(line.get("step"), int) and line["step"] <= step]
    atomic.write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
