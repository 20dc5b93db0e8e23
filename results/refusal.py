"""One way to refuse bad input: a clear line for the user, exit status 2, no traceback."""

import errno
import hashlib
import io
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

FAILURE_STATUS = 1
USAGE_STATUS = 2
INTERRUPTED_STATUS = 130
BROKEN_PIPE_STATUS = 141
"""What shells report of a program whose reader has gone: 128 and the number of SIGPIPE."""
SAID_ONCE = "VICREG_SAID_ONCE"
"""Environment variable: a folder in which ranks started together note what they said, each sentence once."""


class Refusal(ValueError):  # noqa: N818 - it is the user's input that errs, not the program
    """The user's input cannot be used. The message says what was found, where, and what to do about it.

    Messages quote files: characters that are not printed but obeyed by terminals are spelled out in them.
    """

    def __init__(self, message: str) -> None:
        super().__init__("\n".join(printable(line) for line in message.split("\n")))


class Failure(RuntimeError):  # noqa: N818 - named as users know it
    """What the command runs on failed it: a process that died, memory that ran out. The message says which and why."""


def run_command_line(command: Callable[[], int | None]) -> None:
    """Run a `__main__` body and exit with its status; a `Refusal` becomes one line and status 2, a `Failure` 1.

    An output that cannot hold every character gets "?" in their places, one that is full is refused, and a reader who
    has gone ("| head") ends the command quietly. Anything else that escapes is a programmer's mistake and keeps its
    traceback.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        status = command()
        if sys.stdout is not None:  # it may have been closed before this began
            sys.stdout.flush()
    except BrokenPipeError:
        _leave_unless_somebody_reads()
        raise
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _say(f"error: cannot write {error.filename or 'the output'}: {error.strerror}; free space")
        sys.exit(USAGE_STATUS)
    except Refusal as refusal:
        _say(f"error: {own_words(refusal)}")
        sys.exit(USAGE_STATUS)
    except Failure as failure:
        _say(f"error: {failure}")
        sys.exit(FAILURE_STATUS)
    except KeyboardInterrupt:
        _say("interrupted; the same command continues where this one stopped")
        sys.exit(INTERRUPTED_STATUS)
    sys.exit(status or 0)


def _leave_unless_somebody_reads() -> None:
    """Exit where it is this process's own output that nobody reads any more, and not a pipe between its parts."""
    output = sys.stdout.fileno()
    asked = select.poll()
    asked.register(output, select.POLLOUT)
    if any(answer & (select.POLLERR | select.POLLHUP) for _, answer in asked.poll(0)):
        # Python flushes once more at the end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
        sys.exit(BROKEN_PIPE_STATUS)


def _say(sentence: str) -> None:
    """To standard error, unless another of the ranks that were started together has said the same."""
    if folder := os.environ.get(SAID_ONCE):
        try:
            Path(folder, hashlib.sha256(sentence.encode()).hexdigest()).touch(exist_ok=False)
        except FileExistsError:
            return
        except OSError:
            pass  # the launcher and its folder are gone: rather twice than not at all
    print(sentence, file=sys.stderr)


def printable(text: str) -> str:
    """`text` with every character that does not print, line ends among them, as its escape sequence."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def one_line(error: BaseException, length: int = 160) -> str:
    """What a library said, fit to be quoted in a refusal: its first line, not too long; its type where it is silent."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:length]


def own_words(refusal: Refusal) -> str:
    """What was said where it was refused."""
    # torch's DataLoader puts a worker's whole traceback before what was said there; it ends with type and message.
    kind = type(refusal)
    return str(refusal).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].rstrip()
