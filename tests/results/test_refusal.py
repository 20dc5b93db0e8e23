"""The one way out of a command: a status, and for mistakes of the user one line."""

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


def test_what_a_file_says_cannot_steer_the_terminal() -> None:
    said = str(Refusal("a.pth refers to \x1b[2J\x07\u202e\x85x; line one\nline two, Straße"))
    assert said == "a.pth refers to \\x1b[2J\\x07\\u202e\\x85x; line one\nline two, Straße"
    assert one_line(ValueError("first\nsecond")) == "first" and one_line(KeyError()) == "KeyError"
