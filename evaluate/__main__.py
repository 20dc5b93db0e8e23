"""`python -m evaluate`: Table 1 and Table 5 for any published ResNet-50 checkpoint."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro
from tyro.conf import Positional

from evaluate.cards import card_text, full_size_cards
from evaluate.command import execute
from evaluate.protocols import PROTOCOLS, Protocol
from evaluate.run import Run
from evaluate.weights import KNOWN_WEIGHTS
from results.cards import CARDS, write_cards
from results.refusal import Refusal, run_command_line
from results.usage import deferred, usage_errors_in_one_line

Command = Callable[..., int]


def card(protocol: Positional[str]) -> int:
    """Show how a protocol measures: each setting, its source, what the paper leaves open, what was chosen.

    Args:
        protocol: linear, semi-1pct, semi-10pct, knn, or a variant of one.
    """
    if protocol not in PROTOCOLS:
        raise Refusal(f"no protocol is called {protocol!r}; known: {', '.join(PROTOCOLS)}")
    print(card_text(protocol))
    return 0


def cards(folder: Path = CARDS) -> int:
    """Write the cards of all full-size protocols as JSON.

    Args:
        folder: where the results room looks for them.
    """
    for path in write_cards(full_size_cards(), folder):
        print(path)
    return 0


def download(name: Positional[str]) -> int:
    """Fetch known weights into the cache; an interrupted download continues.

    Args:
        name: one of the known weights; `weights` lists them.
    """
    from evaluate.download import download as fetch

    print(fetch(name))
    return 0


def weights() -> int:
    """List the known weights, the paper's row they belong to, and their addresses."""
    for name, known in KNOWN_WEIGHTS.items():
        print(f"{name}: {known.label}, {known.url}")
    return 0


def inspect(checkpoint: Positional[str]) -> int:
    """Say what a checkpoint file holds, without evaluating it.

    Args:
        checkpoint: a weights file, "FILE#PART", or a known name.
    """
    from evaluate.checkpoint import load_backbone

    backbone = load_backbone(checkpoint)
    print(f"{checkpoint}: {backbone.source}, SHA-256 {backbone.sha256}")
    for warning in backbone.warnings:
        print(f"warning: {warning}")
    return 0


def commands() -> dict[str, Command]:
    """Every subcommand by name: one for each protocol, and the helpers."""
    helpers: dict[str, Command] = {
        "card": card, "cards": cards, "download": download, "weights": weights, "inspect": inspect,
    }  # fmt: skip
    return {name: _command(name, protocol) for name, protocol in PROTOCOLS.items()} | helpers


def _command(name: str, named: Protocol) -> Command:
    def command(protocol: Any = named, run: Run = Run()) -> int:  # noqa: B008  (frozen)
        return execute(name, named, protocol, run)

    # tyro reads the flags off the types, and each name has the fields of its own protocol class.
    command.__annotations__ = {"protocol": type(named), "run": Run, "return": int}
    command.__doc__ = f"Fill {', '.join(named.cells)}."
    return command


def main() -> int:
    """Read the command line and run the chosen subcommand."""
    words = ["--run.dry-run" if word == "--dry-run" else word for word in sys.argv[1:]]
    noted = {name: deferred(command) for name, command in commands().items()}
    with usage_errors_in_one_line():
        command: Callable[[], int] = tyro.extras.subcommand_cli_from_dict(
            noted, prog="python -m evaluate", description=__doc__, args=words
        )
    return command()


if __name__ == "__main__":
    run_command_line(main)
