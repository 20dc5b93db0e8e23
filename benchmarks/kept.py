"""Results as files: one JSON a day and machine, the same as Markdown beside it, and the check against what was kept."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from benchmarks.table import markdown
from results import atomic
from results.refusal import Refusal

FOLDER = Path(__file__).parent / "results"
TOLERANCE = 0.35
"""How much worse than the kept one a ratio may be before `--check` calls it a regression. Chosen, not measured: a lost
optimisation costs half or more of its ratio, and a busy machine has moved ratios by a quarter."""

DATED = "[0-9]*.json"
"""The results of the table; other benchmarks keep theirs in the same folder, named after themselves."""

Results = dict[str, Any]


def path_of(folder: Path, date: str, hardware: str) -> Path:
    """The file for a day (YYYY-MM-DD) and a machine."""
    machine = re.sub(r"[^a-z0-9]+", "-", hardware.lower()).strip("-")
    return folder / f"{date}-{machine}.json"


def keep(path: Path, results: Results) -> None:
    """Write `results` to `path` and its Markdown beside it; rows measured earlier that day and not now stay."""
    if path.exists():
        results = results | {"rows": _merged(read(path)["rows"], results["rows"])}
    atomic.write_text(path, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    atomic.write_text(path.with_suffix(".md"), markdown(results))


def read(path: Path) -> Results:
    """The results kept in `path`.

    Raises:
        Refusal: it is not such a file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("rows"), list):
            return found
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Refusal(f"{path} cannot be read as benchmark results ({error}); remove it or restore it") from error
    raise Refusal(f"{path} holds no benchmark rows; remove it or restore it")


def newest(folder: Path, hardware: str) -> Path | None:
    """The latest results of this hardware, else the latest of any (ratios travel, seconds do not), else None."""
    files = sorted(folder.glob(DATED))
    same = [file for file in files if read(file).get("hardware") == hardware]
    found = same or files
    return found[-1] if found else None


def regressions(rows: Iterable[Row], now: list[Results], kept: list[Results]) -> list[str]:
    """One line for each ratio worse than the kept one by more than `TOLERANCE`, and for each row that failed."""
    before = {entry["name"]: entry for entry in kept if entry.get("value") is not None}
    after = {entry["name"]: entry for entry in now}
    lines = []
    for row in rows:
        old, new = before.get(row.name), after.get(row.name)
        if new is None or new["status"] == "skipped":
            continue
        if new["status"] == "failed":
            lines.append(f"{row.name}: failed, {new['reason']}")
        elif old is not None and row.is_ratio and worsening(row, old["value"], new["value"]) > TOLERANCE:
            lines.append(
                f"{row.name}: {new['value']:.3g} {row.unit} now, {old['value']:.3g} kept, "
                f"{worsening(row, old['value'], new['value']):.0%} worse (tolerance {TOLERANCE:.0%})"
            )
    return lines


def worsening(row: Row, kept: float, now: float) -> float:
    """By what part of the kept ratio the new one is worse; negative when it is better."""
    return 1 - now / kept if row.sense == "at least" else now / kept - 1


def _merged(earlier: list[Results], now: list[Results]) -> list[Results]:
    renewed = {entry["name"]: entry for entry in now}
    stayed = [renewed.pop(entry["name"], entry) for entry in earlier]
    return stayed + list(renewed.values())
