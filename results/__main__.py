"""`python -m results` compares measured records with the paper, explains, reports, plans and reproduces its cells."""

import sys
from pathlib import Path

import tyro

from results.refusal import run_command_line

RECORDS = Path("runs/records")


def compare(records: Path = RECORDS, format: str = "terminal", against: str = "", strict: bool = False) -> int:
    """Print the difference from the paper, cell by cell; exit 0 when every measured cell is within its tolerance, else 1.

    Args:
        records: the folder of records.
        format: terminal, markdown, csv, latex or json.
        against: a label ("Barlow Twins") or the first digits of a checkpoint's sha256: adds a paired bootstrap between
            it and VICReg on the same images, where both kept their predictions.
        strict: also exit 1 when a cell of the paper has not been measured.
    """
    from results.commands import compare_records

    return compare_records(records, format, against, strict)


def cells() -> int:
    """List every cell of the paper's tables with its number and tolerance."""
    from results.commands import list_cells

    return list_cells()


def main() -> int:
    """Read the command line and run the chosen subcommand."""
    commands = {"compare": compare, "cells": cells}
    status: int = tyro.extras.subcommand_cli_from_dict(commands, prog="python -m results", description=__doc__)
    return status


if __name__ == "__main__":
    run_command_line(main)
