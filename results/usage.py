"""A command line that cannot be read is refused in one line, like any other bad input; parsers draw boxes instead."""

import contextlib
import difflib
import functools
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import ParamSpec, TypeVar

from results.refusal import USAGE_STATUS, Refusal

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MISPLACED = re.compile(r"Unrecognized or misplaced options: (\S+) \(applied to ")
NAMES_SHOWN = 12

P = ParamSpec("P")
R = TypeVar("R")


def deferred(command: Callable[P, R]) -> Callable[P, Callable[[], R]]:
    """`command` with the same signature, that only notes its arguments: reading a command line and obeying it apart."""

    @functools.wraps(command)
    def noted(*args: P.args, **kwargs: P.kwargs) -> Callable[[], R]:
        return functools.partial(command, *args, **kwargs)

    return noted


@contextlib.contextmanager
def usage_errors_in_one_line() -> Iterator[None]:
    """While the command line is read: what the parser draws on stderr as it exits with 2 becomes one `Refusal`."""
    drawn = io.StringIO()
    try:
        with contextlib.redirect_stderr(drawn):
            yield
    except SystemExit as end:
        if end.code == USAGE_STATUS:
            raise Refusal(in_one_line(drawn.getvalue(), sys.argv[1:])) from None
        raise  # help was asked for, and printed on stdout


def in_one_line(drawn: str, words: Sequence[str]) -> str:
    """The box a parser drew about `words` as one line: what was found, what may have been meant, where to read more."""
    sentences = [_sentence(paragraph, words) for paragraph in _paragraphs(drawn)]
    return "; ".join(filter(None, sentences))


def _paragraphs(drawn: str) -> list[list[str]]:
    paragraphs: list[list[str]] = [[]]
    rows = [row.strip("│ ") for row in COLOUR.sub("", drawn).splitlines() if not row.startswith(("╭", "╰"))]
    for row in filter(None, rows):
        if row.strip("─-"):
            paragraphs[-1].append(row)
        else:
            paragraphs.append([])
    # The title says less than the text. It stands in the frame, or as the first row where there are no box characters.
    return paragraphs if "╭" in drawn else paragraphs[1:]


def _sentence(lines: list[str], words: Sequence[str]) -> str:
    text = " ".join(lines).rstrip(".")
    flags = list(dict.fromkeys(line.split()[0].rstrip(",") for line in lines if line.startswith("-")))
    if text.startswith("Argument helptext"):
        return ""
    if text.startswith("For full helptext"):
        return re.sub(r"^.*?(python -m .*--help).*$", r"\1 explains", text)
    if text.startswith("Perhaps you meant"):
        others = [flag for flag in flags if flag not in words]
        return f"perhaps {' or '.join(others)}" if others else ""
    if (misplaced := MISPLACED.match(text)) and not misplaced[1].startswith("-"):
        # An unknown command takes all flags behind it along; it alone is at fault.
        return f"Unrecognized options: {misplaced[1]}"
    if text.startswith("Missing from ") and flags:
        return f"missing: {', '.join(flags)}"
    for opening in ("Available subcommands: ", "Expected one of {"):
        if text.startswith(opening):
            return _choices(text.removeprefix(opening).rstrip("}").split(", "), words)
    return re.sub(r"^Error parsing __tyro-dummy-inner__[.\w-]*: ", "", text)


def _choices(names: list[str], words: Sequence[str]) -> str:
    close = [match for word in words for match in difflib.get_close_matches(word, names, n=3)]
    if close:
        return f"perhaps {' or '.join(close)}"
    more = f", ... ({len(names)} in all)" if len(names) > NAMES_SHOWN else ""
    return f"choose one of {', '.join(names[:NAMES_SHOWN])}{more}"
