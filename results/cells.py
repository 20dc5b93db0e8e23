"""The names of the paper's cells, as `results/paper/tables.csv` lists them ("table1/linear/top1")."""

import csv
import functools
from pathlib import Path

TABLES_FILE = Path(__file__).parent / "paper" / "tables.csv"


@functools.cache
def cell_names() -> frozenset[str]:
    """Every cell of Tables 1, 2, 3, 4a, 4b, 5, 6 and the batch-size table."""
    with TABLES_FILE.open(encoding="utf-8", newline="") as file:
        return frozenset(row["cell"] for row in csv.DictReader(file))


def is_cell(name: str) -> bool:
    """Whether `name` is a cell of the paper's tables."""
    return name in cell_names()
