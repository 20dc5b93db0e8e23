"""The doctor's findings for a person: one table, then the files concerned."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data.finding import Check, Severity

_VERDICTS = {Severity.NOTE: "[yellow]note", Severity.PROBLEM: "[red]problem", Severity.UNUSABLE: "[bold red]unusable"}


def show(dataset: str, root: Path, checks: Sequence[Check], files_shown: int) -> None:
    """Print the checks as a table, and up to `files_shown` files of each finding below it."""
    console = Console(width=None if Console().is_terminal else 160)
    table = Table(title=escape(f"{dataset} at {root}"), title_justify="left")
    for column in ("check", "result", "what was found"):
        table.add_column(column, overflow="fold")
    for check in checks:
        worst = max((finding.severity for finding in check.findings), default=None)
        # File and class names come from other people's files; brackets in them are not markup.
        table.add_row(escape(check.name), "[green]ok" if worst is None else _VERDICTS[worst], escape(check.summary))
    console.print(table)
    for finding in (finding for check in checks for finding in check.findings if finding.files):
        console.print(escape(f"{finding.check}:"))
        for path in finding.files[:files_shown]:
            console.print(escape(f"  {str(path)!r}"), soft_wrap=True, highlight=False)
        if (more := len(finding.files) - files_shown) > 0:
            console.print(f"  and {more:,} more")
