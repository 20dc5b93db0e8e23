"""The arithmetic of measuring, with clocks that say what the test wants."""

from collections.abc import Callable, Iterator

import pytest

from benchmarks.harness import Timing, described, in_turns, seconds, share, timed, times_faster, timing


def fake_clock(*durations: float) -> Callable[[], float]:
    """A clock that is read twice for each of `durations`."""

    def readings() -> Iterator[float]:
        now = 0.0
        for duration in durations:
            yield now
            now += duration
            yield now

    found = readings()
    return lambda: next(found)


def test_a_call_takes_what_the_clock_says() -> None:
    assert timed(lambda: None, fake_clock(2.5)) == 2.5


def test_the_sides_take_turns_in_alternating_order_after_a_warm_up() -> None:
    calls: list[str] = []
    ours, baseline = in_turns(
        lambda: calls.append("o"), lambda: calls.append("b"), rounds=3, repeats=2, clock=fake_clock(*range(9))
    )
    assert "".join(calls) == "ob" + "oob" + "boo" + "oob"
    # Round 2 begins with the baseline, which so gets the fourth duration.
    assert ours == [[0, 1], [4, 5], [6, 7]]
    assert baseline == [[2], [3], [8]]


def test_the_value_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    found = times_faster([[1.0, 3.0], [1.0], [10.0]], [[8.0], [3.0], [50.0]], n=4)
    assert (found.value, found.lowest, found.highest) == (4.0, 3.0, 5.0)
    assert found.details["n"] == 4
    assert found.details["ours"] == {"median": 2.0, "lowest": 1.0, "highest": 10.0, "count": 4}


def test_a_share_is_ours_over_the_baseline() -> None:
    assert share([[1.0], [1.0]], [[4.0], [2.0]]).value == pytest.approx((0.25 + 0.5) / 2)


def test_a_duration_stands_alone() -> None:
    found = seconds([3.0, 1.0, 2.0])
    assert (found.value, found.lowest, found.highest, found.baseline) == (2.0, 1.0, 3.0, "")


def test_timings_are_described_with_a_fitting_unit() -> None:
    assert described(timing([0.002, 0.001, 0.004])) == "2 ms (1 to 4, n=3)"
    assert described(Timing(12.345, 12.0, 13.0, 2)) == "12.3 s (12 to 13, n=2)"
