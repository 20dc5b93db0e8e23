"""The one way out of a command: a status, and for mistakes of the user one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from results.refusal import Refusal, one_line, run_command_line


def refuse() -> int:
    """A command that cannot use its input."""
    raise Refusal("no such folder: x; give --root")


def interrupted() -> int:
    """A command that the user stops."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("command", "status", "line"),
    [
        (lambda: None, 0, ""),
        (lambda: 1, 1, ""),
        (refuse, 2, "error: no such folder: x; give --root\n"),
        (interrupted, 130, "interrupted; the same command continues where this one stopped\n"),
    ],
)
def test_the_status_tells_how_it_ended(
    command: object, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run_command_line(command)  # type: ignore[arg-type]
    assert end.value.code == status
    assert capsys.readouterr().err == line


def test_a_programmers_mistake_keeps_its_traceback() -> None:
    def broken() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command_line(broken)


def started(body: str, **environment: str) -> "subprocess.Popen[str]":
    """A Python that runs `body` as a command of this suite."""
    program = f"from results.refusal import run_command_line\ndef command():\n    {body}\nrun_command_line(command)"
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        cwd=Path(__file__).parents[2], env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("body", ["print('a line\\n' * 100_000)", "[print('a line') for _ in range(100_000)]"])
def test_a_reader_who_has_gone_ends_it_quietly(body: str) -> None:
    with started(body) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "a line\n"
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (141, "")


def test_a_pipe_that_breaks_elsewhere_keeps_its_traceback() -> None:
    with started("raise BrokenPipeError") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and errors.endswith("BrokenPipeError\n")


def test_an_output_without_the_character_gets_a_question_mark() -> None:
    with started("print('73.2 ± 0.2')", PYTHONIOENCODING="ascii") as process:
        assert process.communicate(timeout=60) == ("73.2 ? 0.2\n", "")
    assert process.returncode == 0


def test_what_a_file_says_cannot_steer_the_terminal() -> None:
    said = str(Refusal("a.pth refers to \x1b[2J\x07\u202e\x85x; line one\nline two, Straße"))
    assert said == "a.pth refers to \\x1b[2J\\x07\\u202e\\x85x; line one\nline two, Straße"
    assert one_line(ValueError("first\nsecond")) == "first" and one_line(KeyError()) == "KeyError"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_output_that_is_full_is_refused() -> None:
    words = [sys.executable, "-m", "results", "explain", "table2/voc07/mAP"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: cannot write the output: No space left on device; free space\n",
    )


def test_a_closed_output_is_no_obstacle() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m results cells >&-"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
