"""Results as files, and what counts as a regression."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import kept
from benchmarks.rows import ROWS, Row
from benchmarks.table import entry
from results.refusal import Refusal

FAST = Row("fast", "a speed", "at least", 4, "x faster", "nowhere:nothing")
SMALL = Row("small", "a share", "at most", 0.1, "of the baseline", "nowhere:nothing")
WAIT = Row("wait", "a wait", "at most", 3, "s", "nowhere:nothing")


def found(row: Row, value: float) -> dict[str, Any]:
    return entry(row, {"status": "measured", "value": value, "lowest": value, "highest": value})


def results(*entries: dict[str, Any]) -> dict[str, Any]:
    return {
        "hardware": "Some CPU, 2 cores", "date": "2030-01-02", "commit": "abc", "versions": {"torch": "2"},
        "load_average": 0.1, "rows": list(entries),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "before", "now", "regressed"),
    [
        (FAST, 10.0, 7.0, False),  # 30 % worse
        (FAST, 10.0, 6.0, True),  # 40 % worse
        (FAST, 10.0, 40.0, False),
        (SMALL, 0.050, 0.065, False),  # a share gets worse by growing: 30 %
        (SMALL, 0.050, 0.070, True),  # 40 %
        (SMALL, 0.050, 0.010, False),
        (WAIT, 1.0, 9.0, False),  # seconds of another machine say nothing
    ],
)
def test_a_ratio_that_worsens_by_more_than_the_tolerance_is_a_regression(
    row: Row, before: float, now: float, regressed: bool
) -> None:
    assert kept.TOLERANCE == 0.35
    lines = kept.regressions([row], [found(row, now)], [found(row, before)])
    assert bool(lines) is regressed
    if regressed:
        assert lines[0].startswith(row.name)
        assert "40% worse" in lines[0]


def test_a_row_that_fails_now_is_a_regression_and_one_that_is_skipped_is_not() -> None:
    failed = entry(FAST, {"status": "failed", "reason": "no such module"})
    skipped = entry(FAST, {"status": "skipped", "reason": "no CUDA device here"})
    assert kept.regressions([FAST], [failed], []) == ["fast: failed, no such module"]
    assert kept.regressions([FAST], [skipped], [found(FAST, 10.0)]) == []


def test_a_row_that_was_never_kept_cannot_regress() -> None:
    assert kept.regressions([FAST], [found(FAST, 1.0)], [entry(FAST, {"status": "failed", "reason": ""})]) == []


def test_rows_measured_later_the_same_day_replace_their_own_and_leave_the_others(tmp_path: Path) -> None:
    path = kept.path_of(tmp_path, "2030-01-02", "Some CPU, 2 cores")
    assert path.name == "2030-01-02-some-cpu-2-cores.json"
    kept.keep(path, results(found(FAST, 3.0), found(SMALL, 0.05)))
    kept.keep(path, results(found(FAST, 5.0), found(WAIT, 1.0)))
    values = {one["name"]: (one["value"], one["status"]) for one in kept.read(path)["rows"]}
    assert values == {"fast": (5.0, "met"), "small": (0.05, "met"), "wait": (1.0, "met")}
    assert "| fast | a speed | at least 4 x faster | 5 (5 to 5) | met |" in path.with_suffix(".md").read_text()


def test_the_newest_results_of_the_same_hardware_come_before_newer_ones_of_another(tmp_path: Path) -> None:
    for date, hardware in (("2030-01-01", "A"), ("2030-01-02", "A"), ("2030-01-03", "B")):
        kept.keep(kept.path_of(tmp_path, date, hardware), results() | {"hardware": hardware, "date": date})
    newest = [kept.newest(tmp_path, hardware) for hardware in ("A", "B", "C")]
    assert [path.name for path in newest if path] == ["2030-01-02-a.json", "2030-01-03-b.json", "2030-01-03-b.json"]
    assert kept.newest(tmp_path / "empty", "A") is None


@pytest.mark.parametrize("content", ["", "[]", '{"rows": 3}', "\x00"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(Refusal, match=r"x\.json"):
        kept.read(tmp_path / "x.json")


def test_every_committed_file_has_its_markdown_and_only_rows_of_the_table() -> None:
    names = {row.name for row in ROWS}
    for path in kept.FOLDER.glob(kept.DATED):
        assert path.with_suffix(".md").exists()
        assert {one["name"] for one in kept.read(path)["rows"]} <= names
