"""The sections behind the numbers: discrepancies in the sources, the records' provenance, and what was left out."""

from collections.abc import Sequence

from results.knowledge import discrepancies
from results.records import Record
from results.report.html import Child, Markup, element


def discrepancies_section() -> Markup:
    """Every contradiction with what each source says and the choice made."""
    items = [
        element(
            "article",
            element("h3", element("span", f"{item.number}", class_="count"), f" {item.where}"),
            element("p", item.problem[0].upper() + item.problem[1:] + "."),
            _pairs([("paper", item.paper), ("code", item.code), ("later version", item.later), ("here", item.choice)]),
            class_="discrepancy",
        )
        for item in discrepancies()
    ]
    title = element("h2", "Where the sources disagree, and what was chosen")
    return element("section", title, element("div", *items, class_="cards"), id="discrepancies")


def provenance_section(records: Sequence[Record]) -> Markup:
    """Environment, hardware and commits of the records, and one line for each of them."""
    if not records:
        return element("section", element("h2", "Provenance"), element("p", "No records yet."), id="provenance")
    versions: dict[str, set[str]] = {}
    for record in records:
        for package, version in record.versions.items():
            versions.setdefault(package, set()).add(version)
    facts: list[tuple[str, str]] = [
        ("commits", ", ".join(sorted({record.commit[:12] + record.commit[40:] for record in records}))),
        ("hardware", "; ".join(sorted({record.hardware for record in records}))),
        ("versions", ", ".join(f"{name} {' / '.join(sorted(found))}" for name, found in sorted(versions.items()))),
        ("wall time", f"{sum(record.wall_time_seconds for record in records) / 60:.1f} minutes in all"),
    ]
    heads = ("cell", "value", "checkpoint", "protocol", "seed", "data", "images", "seconds", "measured")
    rows = [element("tr", *(element("td", child) for child in _record_texts(record))) for record in records]
    table = element(
        "table", element("thead", element("tr", *(element("th", h) for h in heads))), element("tbody", *rows)
    )
    commands = "\n".join(sorted({record.command for record in records}))
    return element(
        "section", element("h2", "Provenance"), _pairs(facts),
        element("details", element("summary", f"All {len(records)} records"), element("div", table, class_="scroll")),
        element("details", element("summary", "The commands that measured them"), element("pre", commands)),
        id="provenance",
    )  # fmt: skip


def warnings_section(warnings: Sequence[str]) -> Markup | None:
    """Files that could not be used; None when all could."""
    if not warnings:
        return None
    items = [element("li", warning) for warning in warnings]
    return element("section", element("h2", "Left out"), element("ul", *items, class_="warnings"), id="warnings")


def _record_texts(record: Record) -> tuple[Child, ...]:
    measurement, dataset = record.measurement, record.dataset
    return (
        record.cell, f"{measurement.value:.2f} {measurement.unit}",
        f"{record.checkpoint.label} {record.checkpoint.sha256[:8]}", f"{record.protocol} {record.protocol_hash[:8]}",
        str(record.seed), f"{dataset.name} ({dataset.corpus}{', ' + dataset.subset if dataset.subset else ''})",
        str(measurement.sample_count), f"{record.wall_time_seconds:.1f}", record.created[:16].replace("T", " "),
    )  # fmt: skip


def _marked(text: str) -> list[Child]:
    """Text with `words` between backticks set as code."""
    pieces = text.split("`")
    return [element("code", piece) if index % 2 else piece for index, piece in enumerate(pieces)]


def _pairs(pairs: Sequence[tuple[str, str]]) -> Markup:
    parts = [part for name, text in pairs if text for part in (element("dt", name), element("dd", *_marked(text)))]
    return element("dl", *parts)
