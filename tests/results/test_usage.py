"""A command line that cannot be read is answered like every other bad input: one line, status 2."""

import importlib
import sys

import pytest

from results.refusal import Refusal
from results.usage import deferred, in_one_line, usage_errors_in_one_line

BOX = """\
╭─ Unrecognized options ─────────────╮
│ Unrecognized options: pape         │
│ ────────────────────────────────── │
│ Available subcommands: paper,      │
│ paper-100, official                │
│ ────────────────────────────────── │
│ For full helptext, run:            │
│     python -m pretrain --help      │
╰────────────────────────────────────╯
"""


@pytest.mark.parametrize(
    ("words", "found", "remedy"),
    [
        ("evaluate linear --run.limt 3", "--run.limt", "perhaps --run.limit"),
        ("pretrain pape", "pape", "perhaps paper"),
        ("pretrain papper --run.data /data", "Unrecognized options: papper;", "perhaps paper"),
        ("pretrain demo --recipe.epochs abc", "--recipe.epochs", "'abc'"),
        ("pretrain demo --recipe.epochs -4", "epochs is -4", "at least 1"),
        ("results compare --format pdf", "'pdf'", "'markdown'"),
        ("results explain", "results explain", "table2/voc07/mAP"),
        ("results", "choose one of", "compare"),
        ("data doctor", "missing", "--dataset"),
        ("transfer convert --to nope", "'nope'", "'vissl'"),
        ("transfer coco --run.gpus x", "--run.gpus", "'x'"),
        ("benchmarks --nope", "--nope", "python -m benchmarks --help"),
    ],
)
def test_every_room_refuses_in_one_line_that_names_what_was_found_and_a_remedy(
    words: str, found: str, remedy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room, *arguments = words.split()
    monkeypatch.setattr(sys, "argv", [f"{room}/__main__.py", *arguments])
    with pytest.raises(Refusal) as refused:
        importlib.import_module(f"{room}.__main__").main()
    line = str(refused.value)
    assert found in line
    assert remedy in line
    assert line.endswith("--help explains") and "applied to" not in line
    assert "\n" not in line
    assert not set(line) & set("│╭╰─")
    assert capsys.readouterr() == ("", "")


def test_a_name_nearly_right_is_suggested_without_the_others() -> None:
    line = in_one_line(BOX, ["pape"])
    assert line == "Unrecognized options: pape; perhaps paper or paper-100; python -m pretrain --help explains"


def test_a_box_without_box_characters_reads_the_same() -> None:
    plain = " Bad thing\n ------\n  x is bad\n  ------\n  For full helptext, run python -m data --help\n"
    assert in_one_line(plain, []) == "x is bad; python -m data --help explains"


def test_of_many_names_a_few_are_shown_and_the_rest_counted() -> None:
    names = ", ".join(f"recipe-{number}" for number in range(40))
    line = in_one_line(f"╭─ x ─╮\n│ Available subcommands: {names} │\n", ["zzz"])
    assert "recipe-11" in line
    assert "recipe-12" not in line
    assert "40 in all" in line


def test_help_is_printed_whole_with_status_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["results/__main__.py", "compare", "--help"])
    with pytest.raises(SystemExit) as end:
        importlib.import_module("results.__main__").main()
    assert end.value.code == 0
    assert "--strict" in capsys.readouterr().out


def test_a_deferred_command_runs_when_it_is_called_and_not_before() -> None:
    ran = []
    noted = deferred(ran.append)(3)
    assert ran == []
    noted()
    assert ran == [3]


def test_an_exit_of_the_commands_own_is_not_taken_for_a_usage_error() -> None:
    with pytest.raises(SystemExit), usage_errors_in_one_line():
        sys.exit(1)
