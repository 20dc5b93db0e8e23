"""One way to refuse bad input: a clear line for the user, exit status 2, no traceback."""

import sys
from collections.abc import Callable

USAGE_STATUS = 2
INTERRUPTED_STATUS = 130


class Refusal(ValueError):  # noqa: N818 - it is the user's input that errs, not the program
    """The user's input cannot be used. The message says what was found, where, and what to do about it."""


def run_command_line(command: Callable[[], int | None]) -> None:
    """Run a `__main__` body and exit with its status; a `Refusal` becomes one line on stderr and status 2.

    Anything else that escapes is a programmer's mistake and keeps its traceback.
    """
    try:
        status = command()
    except Refusal as refusal:
        print(f"error: {_own_words(refusal)}", file=sys.stderr)
        sys.exit(USAGE_STATUS)
    except KeyboardInterrupt:
        print("interrupted; the same command continues where this one stopped", file=sys.stderr)
        sys.exit(INTERRUPTED_STATUS)
    sys.exit(status or 0)


def _own_words(refusal: Refusal) -> str:
    # torch's DataLoader puts a worker's whole traceback before what was said there; it ends with type and message.
    kind = type(refusal)
    return str(refusal).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].rstrip()
