"""The learning rate at each step against the released code's."""

import json
from pathlib import Path
from typing import Any

import pytest

from pretrain.schedule import warmup_cosine

ROWS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden" / "schedule.json").read_text())["rows"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['epochs']} epochs step {row['step']}")
def test_rates_are_those_of_the_released_code(row: dict[str, Any]) -> None:
    peak = row["base_lr"] * row["global_batch_size"] / 256
    steps = row["steps_per_epoch"]
    lr = warmup_cosine(
        row["step"], total_steps=row["epochs"] * steps, warmup_steps=10 * steps, peak_lr=peak, final_lr=0.001 * peak
    )
    assert lr == pytest.approx(row["lr"], rel=1e-12, abs=1e-15)


def test_without_warm_up_the_first_step_has_the_peak() -> None:
    assert warmup_cosine(0, total_steps=4, warmup_steps=0, peak_lr=2.0, final_lr=0.0) == 2.0


@pytest.mark.parametrize(
    ("step", "warmup", "message"),
    [
        (10, 2, "step is 10; the schedule has steps 0 to 9"),
        (-1, 2, "step is -1; the schedule has steps 0 to 9"),
        (0, 10, r"warmup_steps is 10; it must be at least 0 and below total_steps \(10\)"),
    ],
)
def test_steps_outside_the_schedule_are_refused(step: int, warmup: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        warmup_cosine(step, total_steps=10, warmup_steps=warmup, peak_lr=1.0, final_lr=0.0)
