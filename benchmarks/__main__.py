"""`python -m benchmarks`: this suite against a textbook baseline, in turns, with targets."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tyro

from benchmarks import kept, table
from benchmarks.child import measured
from benchmarks.rows import ROWS, Row, chosen
from results import provenance
from results.refusal import Refusal, run_command_line
from results.usage import deferred, usage_errors_in_one_line

HELP = (
    f"""Measure this suite against a textbook baseline (benchmarks/textbook.py: Algorithm 1 as printed, PIL and
torchvision transforms of B.2, a per-tensor LARS loop, one DataLoader).

Each row runs in its own process, with the number of cores it states; both sides take turns in that process, and the
value is the median of the rounds' ratios. The results are kept as JSON and Markdown with date and hardware in the name.
Exit status 1 if a target is missed or a row fails; rows that need a GPU are skipped where there is none.

All rows (under 15 minutes on two cores):  make bench
Two rows:                                  python -m benchmarks --only loss-256 lars
Has anything become slower?                make bench-check   (ratios, worse by more than {kept.TOLERANCE:.0%}: exit 1)

Rows: """
    + "; ".join(f"{row.name} ({row.target_text})" for row in ROWS)
    + "."
)


def benchmarks(only: tuple[str, ...] = (), check: bool = False, output: Path = kept.FOLDER) -> int:
    """Measure the chosen rows and keep or check them.

    Args:
        only: names of rows to measure; none for all. Rows measured earlier the same day stay in the file.
        check: compare the ratios with the newest kept results instead of keeping them.
        output: folder of the kept results.
    """
    rows = _rows(only)
    results: dict[str, Any] = {
        "hardware": provenance.hardware(_accelerator()),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "load_average": round(os.getloadavg()[0], 2),
        "rows": [],
    }
    before = _kept(output, results["hardware"]) if check else None
    for row in rows:
        found = table.entry(row, measured(row)) | {"measured_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        print(table.line(found), flush=True)
        results["rows"].append(found)
    print(table.summary(results["rows"]))
    if before is not None:
        return _check(rows, results["rows"], before)
    path = kept.path_of(output, results["date"], results["hardware"])
    kept.keep(path, results)
    print(f"kept in {path} and {path.with_suffix('.md').name}")
    return int(any(found["status"] in ("missed", "failed") for found in results["rows"]))


def _rows(names: tuple[str, ...]) -> tuple[Row, ...]:
    try:
        return chosen(names)
    except KeyError as unknown:
        known = ", ".join(row.name for row in ROWS)
        raise Refusal(f"--only names {unknown}, which is no row; the rows are {known}") from unknown


def _kept(folder: Path, hardware: str) -> tuple[Path, list[dict[str, Any]]]:
    path = kept.newest(folder, hardware)
    if path is None:
        raise Refusal(f"--check found no kept results in {folder}; run `make bench` first and commit what it writes")
    return path, kept.read(path)["rows"]


def _check(rows: tuple[Row, ...], now: list[dict[str, Any]], before: tuple[Path, list[dict[str, Any]]]) -> int:
    path, entries = before
    lines = kept.regressions(rows, now, entries)
    for line in lines:
        print(f"regression: {line}")
    print(f"{len(lines)} regressions against {path.name}")
    return int(bool(lines))


def _accelerator() -> str:
    import torch

    if not torch.cuda.is_available():
        return ""
    return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"


def main() -> int:
    """Read the command line and run the rows it asks for."""
    with usage_errors_in_one_line():
        command: Callable[[], int] = tyro.cli(deferred(benchmarks), prog="python -m benchmarks", description=HELP)
    return command()


if __name__ == "__main__":
    run_command_line(main)
