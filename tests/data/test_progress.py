"""Progress: everything is yielded, only rank 0 speaks, and the line says what is left."""

import pytest

from data import progress


def test_everything_is_yielded_in_order() -> None:
    assert list(progress.track(range(5), "counting")) == [0, 1, 2, 3, 4]
    assert list(progress.track(iter("ab"), "without a length")) == ["a", "b"]


def test_a_log_gets_plain_lines_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    list(progress.track(range(3), "reading"))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[0].startswith("reading: 1 of 3, 33 %,")
    assert "\x1b" not in printed.err


def test_other_ranks_are_silent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setenv("RANK", "1")
    assert list(progress.track(range(3), "reading")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert list(progress.track(range(3), "reading")) == [0, 1, 2]
    assert "reading" in capsys.readouterr().err


def test_the_line_gives_rate_and_time_left() -> None:
    assert progress.progress_line("features", 300, 1200, 30.0) == "features: 300 of 1200, 25 %, 10.0/s, 1m30s left"
    assert progress.progress_line("features", 30, None, 3.0) == "features: 30, 10.0/s"
