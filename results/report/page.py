"""The whole page, put together from its sections and written in one piece."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from results import atomic
from results.ablations import AblationRun, find_ablations
from results.arranged import counts, headline
from results.commands import read_aloud
from results.compare import Comparison, compare
from results.records import Record
from results.report.ablations import ablations_section
from results.report.background import discrepancies_section, provenance_section, warnings_section
from results.report.closer import closer_section
from results.report.comparison import digits_section, paper_section, sources_section, verdict_badge
from results.report.html import Markup, element
from results.report.pictures import pictures_section
from results.report.pretraining import PretrainingRun, find_runs, pretraining_section
from results.rows import Sources

STYLE_FILE = Path(__file__).parent / "style.css"
TITLE = "Does it reproduce VICReg?"


@dataclass(frozen=True)
class Findings:
    """Everything the page is made from."""

    records: Sequence[Record]
    records_folder: Path
    runs: Sequence[PretrainingRun]
    comparison: Comparison
    ablations: Sequence[AblationRun] = ()


def write_report(records_folder: Path, runs_folder: Path, output: Path) -> Path:
    """Read records and pretraining logs, and write the page.

    Raises:
        Refusal: `output` cannot be written.
    """
    records, warnings = read_aloud(records_folder)
    runs, run_warnings = find_runs(runs_folder)
    comparison = compare(records, [*warnings, *run_warnings])
    atomic.write_text(
        output, page(Findings(records, records_folder, runs, comparison, find_ablations(records, runs_folder)))
    )
    return output


def page(findings: Findings) -> str:
    """The page as HTML text."""
    sources = Sources()
    closer, closer_warnings = closer_section(findings.records, findings.records_folder)
    pictures, picture_warnings = pictures_section(findings.records, findings.records_folder)
    sections = [
        digits_section(findings.comparison, sources),
        pretraining_section(findings.runs),
        ablations_section(findings.ablations),
        closer,
        pictures,
        paper_section(findings.comparison, sources),
        sources_section(sources),
        discrepancies_section(),
        provenance_section(findings.records),
        warnings_section([*findings.comparison.warnings, *closer_warnings, *picture_warnings]),
    ]
    body = element(
        "body", _header(findings), element("main", *(s for s in sections if s is not None)),
        element("footer", f"Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. One file, no network, no script."),
    )  # fmt: skip
    head = element(
        "head", element("meta", charset="utf-8"), element("title", TITLE),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("style", Markup(STYLE_FILE.read_text(encoding="utf-8"))),
    )  # fmt: skip
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _header(findings: Findings) -> Markup:
    tiles = [
        element("li", element("b", str(number)), verdict_badge(verdict))
        for verdict, number in counts(findings.comparison).items()
        if number
    ]
    return element(
        "header", element("p", "arXiv 2105.04906 · ResNet-50", class_="muted"), element("h1", TITLE),
        element("p", headline(findings.comparison), class_="headline"), element("ul", *tiles, class_="tiles"),
    )  # fmt: skip
