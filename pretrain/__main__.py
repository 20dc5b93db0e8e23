"""Pretrain a backbone without labels: python -m pretrain RECIPE [--recipe.X v] [--run.X v] [--slurm.X v]."""

import sys
from dataclasses import dataclass
from typing import Annotated, Any, Union

import tyro

from pretrain import launch
from pretrain.recipes import NAMED_RECIPES, Named
from pretrain.run import Run, Slurm
from pretrain.settings import Recipe
from results.refusal import run_command_line


@dataclass(frozen=True)
class Command:
    """What one command line asks for."""

    recipe: Recipe
    run: Run
    slurm: Slurm


def main() -> int:
    """Parse the command line and start, submit, or print the plan."""
    # `--dry-run` alone is what people type; the field lives in the run.
    arguments = ["--run.dry-run" if argument == "--dry-run" else argument for argument in sys.argv[1:]]
    name = next((argument for argument in arguments if argument in NAMED_RECIPES), "")
    command: Command = tyro.cli(_grammar(), prog="python -m pretrain", description=__doc__, args=arguments)
    return launch.start(name, command.recipe, command.run, command.slurm)


def _grammar() -> Any:
    subcommands = tuple(_subcommand(name, named) for name, named in NAMED_RECIPES.items())
    return Union[subcommands]  # noqa: UP007


def _subcommand(name: str, named: Named) -> Any:
    default = Command(named.recipe, Run(), Slurm())
    return Annotated[Command, tyro.conf.subcommand(name, default=default, description=named.summary)]


if __name__ == "__main__":
    run_command_line(main)
