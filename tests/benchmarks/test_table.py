"""Rows, verdicts and the table."""

import dataclasses
import importlib

import pytest

from benchmarks import table
from benchmarks.rows import ROWS, Row, chosen

FAST = Row("fast", "a speed", "at least", 4, "x faster", "nowhere:nothing")
SMALL = Row("small", "a share", "at most", 0.1, "of the baseline", "nowhere:nothing")


@pytest.mark.parametrize(
    ("row", "value", "met"), [(FAST, 4, True), (FAST, 3.99, False), (SMALL, 0.1, True), (SMALL, 0.11, False)]
)
def test_a_target_is_met_at_its_own_value(row: Row, value: float, met: bool) -> None:
    assert row.met(value) is met
    assert table.entry(row, {"status": "measured", "value": value})["status"] == ("met" if met else "missed")


def test_ratios_travel_between_machines_and_seconds_do_not() -> None:
    assert FAST.is_ratio
    assert SMALL.is_ratio
    assert not dataclasses.replace(FAST, unit="s").is_ratio
    assert not dataclasses.replace(FAST, unit="images/s").is_ratio


def test_the_targets_are_those_that_were_asked_for() -> None:
    asked = {
        "loss-2048": 4, "loss-256": 25, "loss-memory": 0.10, "views-host": 6, "views-cpu": 2, "loader": 4, "lars": 3,
        "loss-4-ranks": 0.35, "probe-heads": 1.2, "forward-bf16": 1.5, "help": 3, "compare": 2, "demo-start": 20,
        "gpu-step": 2, "gpu-images": 2000, "gpu-augment": 0.05, "gpu-wait": 0.02,
    }  # fmt: skip
    assert {row.name: row.target for row in ROWS}.items() >= asked.items()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_names_a_function_that_exists(row: Row) -> None:
    module, _, name = row.measure.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_rows_are_chosen_by_name_in_the_tables_order() -> None:
    assert [row.name for row in chosen(("lars", "loss-256"))] == ["loss-256", "lars"]
    assert chosen(()) == ROWS
    with pytest.raises(KeyError, match="fastest"):
        chosen(("fastest",))


def test_the_summary_counts_verdicts_and_names_what_was_not_met() -> None:
    rows = [{"name": name, "status": status} for name, status in (("a", "met"), ("b", "missed"), ("c", "skipped"))]
    assert table.summary(rows) == "1 met, 1 missed (b), 1 skipped (c)"


def test_a_line_says_value_target_and_both_sides() -> None:
    found = {"status": "measured", "value": 5.5, "lowest": 5, "highest": 6, "ours": "1 ms", "baseline": "5.5 ms"}
    line = table.line(table.entry(FAST, found))
    assert "met" in line
    assert "5.5 (5 to 6) x faster; target at least 4 x faster  [1 ms against 5.5 ms]" in line
    skipped = table.line(table.entry(FAST, {"status": "skipped", "reason": "no CUDA device here"}))
    assert "skipped  no CUDA device here" in skipped
