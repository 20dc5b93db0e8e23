"""Pretrain a backbone without labels: python -m pretrain RECIPE [--recipe.X v] [--run.X v] [--slurm.X v].

Whole tables of ablations: python -m pretrain sweep table3|table4a|table4b|table6|batch_size|figure2|demo-ablations.
"""

import sys
from collections.abc import Callable

import tyro

from pretrain import launch
from pretrain import sweep as sweeping
from pretrain.recipes import NAMED_RECIPES, Named
from pretrain.run import Run, Slurm
from pretrain.settings import Recipe
from pretrain.sweep import Sweep, Table
from results.refusal import run_command_line
from results.usage import deferred, usage_errors_in_one_line


def main() -> int:
    """Parse the command line and start, submit, or print the plan."""
    # `--dry-run` alone is what people type; the field lives in the run.
    dry_run = "--sweep.dry-run" if sys.argv[1:2] == ["sweep"] else "--run.dry-run"
    arguments = [dry_run if argument == "--dry-run" else argument for argument in sys.argv[1:]]
    commands = {name: _command(name, named) for name, named in NAMED_RECIPES.items()}
    commands["sweep"] = _sweep
    noted = {name: deferred(command) for name, command in commands.items()}
    with usage_errors_in_one_line():
        command: Callable[[], int] = tyro.extras.subcommand_cli_from_dict(
            noted, prog="python -m pretrain", description=__doc__, args=arguments
        )
    return command()


def _sweep(
    table: tyro.conf.Positional[Table],
    sweep: Sweep = Sweep(),  # noqa: B008  (frozen)
    slurm: Slurm = Slurm(),  # noqa: B008
) -> int:
    """Pretrain and probe every row of a table of ablations that has no record yet; a killed sweep goes on."""
    return sweeping.run(table, sweep, slurm)


def _command(name: str, named: Named) -> Callable[..., int]:
    def command(recipe: Recipe = named.recipe, run: Run = Run(), slurm: Slurm = Slurm()) -> int:  # noqa: B008  (frozen)
        return launch.start(name, recipe, run, slurm)

    command.__doc__ = named.summary
    return command


if __name__ == "__main__":
    run_command_line(main)
