"""What the subcommands of `python -m results` do with their arguments; output goes to stdout, warnings to stderr."""

import sys
import typing
from pathlib import Path

from results.against import duels
from results.compare import compare
from results.formats import Format, render
from results.records import read_records
from results.refusal import Refusal
from results.tables import TITLES, targets, tolerances


def compare_records(folder: Path, form: str, against: str, strict: bool) -> int:
    """Print the comparison of the records in `folder`; the exit status is the comparison's.

    Raises:
        Refusal: an unknown format, or nothing that `against` names.
    """
    if form not in typing.get_args(Format):
        raise Refusal(f"--format is {form!r}; choose one of {', '.join(typing.get_args(Format))}")
    records, warnings = read_records(folder)
    comparison = compare(records, warnings, duels(records, folder, against) if against else ())
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    sys.stdout.write(render(comparison, typing.cast(Format, form)))
    return comparison.status(strict=strict)


def list_cells() -> int:
    """Print every cell with the paper's number and its tolerance."""
    for table, title in TITLES.items():
        print(title)
        for cell, target in targets().items():
            if target.table == table:
                print(f"  {cell:42} {target.row:42} {target.value:5.1f} ± {tolerances()[cell].tolerance:g}")
    return 0
