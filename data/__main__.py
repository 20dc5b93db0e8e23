"""`python -m data`: write the embedded digits corpus, check a data set, or prepare one for the engines."""

import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from results.refusal import run_command_line


@dataclass(frozen=True)
class Digits:
    """Write the embedded corpus: real handwritten digits and photographs in the layout of every data set.

    Needs no network. Takes a few seconds and about 15 MB. The same seed gives the same bytes; a folder that holds the
    corpus whole already is left as it is.
    """

    root: Path
    """Folder to write to: a new or an empty one."""
    seed: int = 0
    """Chooses the held-out digits, their sizes, and the scenes."""


def main() -> int:
    """Run the subcommand and return the exit status."""
    command = tyro.cli(Digits, prog="python -m data", description=__doc__)
    return run_digits(command)


def run_digits(command: Digits) -> int:
    """Write the corpus and say what is where."""
    from data.digits import build

    started = time.monotonic()
    marker, written = build.build(command.root, command.seed)
    print(build.summary(command.root, marker, started, written))
    return 0


if __name__ == "__main__":
    run_command_line(main)
