"""Progress is read from whatever Detectron2 has written so far, also from a file that a killed run left."""

from pathlib import Path

import pytest

from transfer.engines import detectron2_progress as progress
from transfer.engines.detectron2_progress import Status

LINE = '{"iteration": 1999, "total_loss": 0.6125, "eta_seconds": 29520.0, "lr": 0.05}\n'
EVALUATED = '{"bbox/AP50": 82.4, "iteration": 24000}\n'


def test_the_newest_training_line_counts_finished_iterations(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(LINE.replace("1999", "19") + LINE)
    # Detectron2 counts from 0: "iteration 1999" is the 2000th.
    assert progress.newest(file) == Status(2000, 0.6125, 29520.0)


def test_half_a_line_and_lines_of_the_evaluation_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(LINE + EVALUATED + LINE[:30])
    found = progress.newest(file)
    assert found is not None
    assert found.iteration == 2000


@pytest.mark.parametrize("content", [None, "", "nonsense\n", "[1, 2]\n"])
def test_nothing_usable_is_none(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    if content is not None:
        file.write_text(content)
    assert progress.newest(file) is None


def test_a_line_for_a_log_says_how_far_how_well_and_how_long() -> None:
    assert Status(2000, 0.6125, 29520.0).line(24000) == "iteration 2000 of 24000, 8 %, loss 0.613, 8h12m left"
    assert Status(0).line(10) == "iteration 0 of 10, 0 %"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0m00s"), (185.4, "3m05s"), (3600, "1h00m"), (90061, "25h01m")])
def test_durations(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


def test_the_evaluation_is_followed_in_detectron2s_log() -> None:
    line = "[d2]: Inference done 120/4952. Dataloading: 0.0 s/iter. Total: 0.1 s/iter. ETA=0:08:12"
    assert progress.evaluation(line) == "evaluation: batch 120 of 4952, 0:08:12 left"
    assert progress.evaluation("[d2]: Start inference on 4952 batches") == ""


def test_without_a_terminal_lines_come_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with progress.display("voc0712", 10) as shown:
        for second in range(32):
            clock[0] = float(second)
            shown.show(Status(second // 4, 1.0, 5.0), "")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "voc0712: iteration 3 of 10, 30 %, loss 1.000, 0m05s left",
        "voc0712: iteration 7 of 10, 70 %, loss 1.000, 0m05s left",
    ]


def test_on_a_terminal_there_is_a_bar_with_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    with progress.display("voc0712", 24000) as shown:
        shown.show(Status(2000, 0.6, 29520.0), "")
    written = capsys.readouterr().err
    assert "2000/24000" in written
    assert "8h12m left" in written
