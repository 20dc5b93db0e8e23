"""The doctor's findings: for a person one table and then the files concerned, for a program one JSON object."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data.finding import Check

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red", "unusable": "bold red"}


def show(dataset: str, root: Path, checks: Sequence[Check], files_shown: int) -> None:
    """Print the checks as a table, and up to `files_shown` files of each finding below it."""
    console = Console(width=None if Console().is_terminal else 160)
    table = Table(title=escape(f"{dataset} at {root}"), title_justify="left")
    for column in ("check", "result", "what was found"):
        table.add_column(column, overflow="fold")
    for check in checks:
        # File and class names come from other people's files; brackets in them are not markup.
        table.add_row(escape(check.name), f"[{_COLOURS[check.verdict]}]{check.verdict}", escape(check.summary))
    console.print(table)
    for finding in (finding for check in checks for finding in check.findings if finding.files):
        console.print(escape(f"{finding.check}:"))
        for path in finding.files[:files_shown]:
            console.print(escape(f"  {str(path)!r}"), soft_wrap=True, highlight=False)
        if (more := len(finding.files) - files_shown) > 0:
            console.print(f"  and {more:,} more")


def as_json(dataset: str, root: Path, checks: Sequence[Check]) -> str:
    """All checks as one JSON object: dataset, root, and checks with name, verdict, summary and the files concerned."""
    listed = [
        {
            "name": check.name,
            "verdict": check.verdict,
            "summary": check.summary,
            "files": [str(path) for finding in check.findings for path in finding.files],
        }
        for check in checks
    ]
    return json.dumps({"dataset": dataset, "root": str(root), "checks": listed}, indent=1)
