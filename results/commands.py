"""What the subcommands of `python -m results` do with their arguments; output goes to stdout, warnings to stderr."""

import sys
from pathlib import Path

from results.ablations import find_ablations
from results.against import duels
from results.compare import compare
from results.explain import explain
from results.formats import Format, render
from results.records import DEFAULT_FOLDER, Record, read_records
from results.refusal import Refusal
from results.report.ablations import markdown
from results.tables import TITLES, targets, tolerances

DEFAULT_RUNS = Path("runs")


def compare_records(folder: Path, form: Format, against: str, strict: bool) -> int:
    """Print the comparison of the records in `folder`; the exit status is the comparison's.

    Raises:
        Refusal: there is no such folder, or `against` names no checkpoint, or several.
    """
    records, warnings = read_aloud(existing(folder))
    comparison = compare(records, warnings, duels(records, folder, against) if against else ())
    sys.stdout.write(render(comparison, form))
    return comparison.status(strict=strict)


def explain_cell(cell: str, folder: Path, delta: float | None) -> int:
    """Print what is known about a cell."""
    sys.stdout.write(explain(cell, read_aloud(existing(folder))[0], delta))
    return 0


def print_claims(folder: Path, runs_folder: Path) -> int:
    """Print the paper's claims about its ablations with what was measured."""
    sys.stdout.write(markdown(find_ablations(read_aloud(existing(folder))[0], existing_runs(runs_folder))))
    return 0


def list_cells() -> int:
    """Print every cell with the paper's number and its tolerance."""
    for table, title in TITLES.items():
        print(title)
        for cell, target in targets().items():
            if target.table == table:
                print(f"  {cell:42} {target.row:42} {target.value:5.1f} ± {tolerances()[cell].tolerance:g}")
    return 0


def existing(folder: Path) -> Path:
    """The folder of records, which must be one; only the default may be missing, while nothing was measured yet.

    Raises:
        Refusal: it is a file, or was mistyped.
    """
    if not folder.is_dir() and (folder != DEFAULT_FOLDER or folder.exists()):
        kind = "is not a folder" if folder.exists() else "does not exist"
        raise Refusal(f"--records {folder} {kind}; give the folder that holds the records")
    return folder


def existing_runs(folder: Path) -> Path:
    """The folder with the pretraining runs; only the default may be missing, while nothing was trained yet.

    Raises:
        Refusal: it was mistyped.
    """
    if not folder.is_dir() and folder != DEFAULT_RUNS:
        raise Refusal(f"--runs {folder} is no folder; give the one below which pretraining runs lie")
    return folder


def read_aloud(folder: Path) -> tuple[list[Record], list[str]]:
    """The records in `folder` and the warnings, which are printed too."""
    records, warnings = read_records(folder)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return records, warnings
