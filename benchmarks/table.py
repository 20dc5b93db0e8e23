"""The table: target, measured value, met or missed; for a terminal and as Markdown."""

from typing import Any

from benchmarks.rows import Row

Entry = dict[str, Any]

HEADINGS = ("row", "what", "target", "measured (rounds from to)", "verdict", "ours", "baseline", "cores")


def entry(row: Row, found: dict[str, Any]) -> Entry:
    """One row's result as it is kept: the row's own words, the verdict, and what `child.measured` found."""
    status = found["status"]
    if status == "measured":
        status = "met" if row.met(found["value"]) else "missed"
    about = {
        "name": row.name, "what": row.what, "sense": row.sense, "target": row.target, "unit": row.unit,
        "cores": row.threads,
    }  # fmt: skip
    return about | {key: value for key, value in found.items() if key != "status"} | {"status": status}


def cells(found: Entry) -> tuple[str, ...]:
    """An entry as the table's cells, in the order of `HEADINGS`."""
    target = f"{found['sense']} {found['target']:g} {found['unit']}"
    measured = found.get("reason", "")
    if found.get("value") is not None:
        measured = f"{found['value']:.3g} ({found['lowest']:.3g} to {found['highest']:.3g})"
    sides = (found.get("ours", ""), found.get("baseline", ""))
    return (found["name"], found["what"], target, measured, found["status"], *sides, str(found["cores"]))


def line(found: Entry) -> str:
    """An entry as one line, printed when its measurement ends."""
    name, _, target, measured, status, ours, baseline, _ = cells(found)
    sides = f"  [{ours}" + (f" against {baseline}]" if baseline else "]") if ours else ""
    return f"{name:<14} {status:<8} {measured} {found['unit']}; target {target}{sides}"


def markdown(results: dict[str, Any]) -> str:
    """The kept file for people: hardware, date, the table, and what the verdicts add up to."""
    rows = [HEADINGS, tuple("---" for _ in HEADINGS), *(cells(found) for found in results["rows"])]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    about = (
        f"{results['hardware']}; {results['date']}; commit {results['commit']}; "
        f"torch {results['versions'].get('torch', 'unknown')}; load average before: {results['load_average']}."
    )
    return f"# Benchmarks\n\n{about}\n\n{table}\n\n{summary(results['rows'])}\n"


def summary(rows: list[Entry]) -> str:
    """How many rows were met, missed, failed, skipped, the unmet ones by name."""
    parts = []
    for status in ("met", "missed", "failed", "skipped"):
        names = [found["name"] for found in rows if found["status"] == status]
        if names:
            parts.append(f"{len(names)} {status}" + ("" if status == "met" else f" ({', '.join(names)})"))
    return ", ".join(parts)
