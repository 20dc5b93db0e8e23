"""`python -m evaluate`: Table 1 and Table 5 for any published ResNet-50 checkpoint."""

import sys
from dataclasses import dataclass

import tyro

from evaluate.command import execute
from evaluate.protocols import PROTOCOLS, Knn, Probe
from evaluate.run import Run
from results.refusal import run_command_line


@dataclass(frozen=True)
class ProbeCommand:
    """Train a linear classifier, on a frozen or a fine-tuned trunk."""

    protocol: Probe
    run: Run


@dataclass(frozen=True)
class KnnCommand:
    """Vote among the nearest training images."""

    protocol: Knn
    run: Run


def main() -> int:
    """Read the command line and run the chosen protocol."""
    arguments = ["--run.dry-run" if word == "--dry-run" else word for word in sys.argv[1:]]
    configs = {
        name: (
            f"fills {', '.join(protocol.cells)}",
            ProbeCommand(protocol, Run()) if isinstance(protocol, Probe) else KnnCommand(protocol, Run()),
        )
        for name, protocol in PROTOCOLS.items()
    }
    chosen = tyro.extras.overridable_config_cli(configs, prog="python -m evaluate", args=arguments)
    name = next(word for word in arguments if word in PROTOCOLS)
    return execute(name, PROTOCOLS[name], chosen.protocol, chosen.run)


if __name__ == "__main__":
    run_command_line(main)
