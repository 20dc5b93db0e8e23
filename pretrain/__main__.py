"""Pretrain a backbone without labels: python -m pretrain RECIPE [--recipe.X v] [--run.X v] [--slurm.X v]."""

import sys
from collections.abc import Callable

import tyro

from pretrain import launch
from pretrain.recipes import NAMED_RECIPES, Named
from pretrain.run import Run, Slurm
from pretrain.settings import Recipe
from results.refusal import run_command_line


def main() -> int:
    """Parse the command line and start, submit, or print the plan."""
    # `--dry-run` alone is what people type; the field lives in the run.
    arguments = ["--run.dry-run" if argument == "--dry-run" else argument for argument in sys.argv[1:]]
    commands = {name: _command(name, named) for name, named in NAMED_RECIPES.items()}
    status: int = tyro.extras.subcommand_cli_from_dict(
        commands, prog="python -m pretrain", description=__doc__, args=arguments
    )
    return status


def _command(name: str, named: Named) -> Callable[..., int]:
    def command(recipe: Recipe = named.recipe, run: Run = Run(), slurm: Slurm = Slurm()) -> int:  # noqa: B008  (frozen)
        return launch.start(name, recipe, run, slurm)

    command.__doc__ = named.summary
    return command


if __name__ == "__main__":
    run_command_line(main)
