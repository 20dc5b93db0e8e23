"""The five ways to print a comparison: terminal, markdown, csv, latex, json."""

import csv
import io
import json
from collections.abc import Callable
from typing import Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from results.arranged import Table, arrange, headline
from results.compare import Comparison
from results.rows import COLUMNS, Source, as_document, plain_rows

Format = Literal["terminal", "markdown", "csv", "latex", "json"]
WIDTH = 100

COLOURS = {
    "within": "green",
    "below": "red",
    "above": "magenta",
    "deviates": "yellow",
    "not run": "dim",
    "no claim": "",
}
TEXT_COLUMNS = ("cell", "verdict", "by")
SEPARATION = 2
WIDTHS = {
    "paper": 5, "expected": 9, "ours": 6, "n": 3, "sd": 4, "95 % CI": 11, "control": 7, "delta": 6,
    "gain": 5, "images": 6, "theirs": 6, "difference": 10, "p": 5, "±tol": 5, "verdict": 10, "by": 2,
}  # fmt: skip
LATEX_SPECIALS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "≥": r"$\geq$", "✓": r"\checkmark",
    "▼": r"$\blacktriangledown$", "▲": r"$\blacktriangle$", "≠": r"$\neq$", "·": r"$\cdot$", "○": r"$\circ$",
    "–": "--", "λ": r"$\lambda$", "μ": r"$\mu$", "ν": r"$\nu$",
}  # fmt: skip


def render(comparison: Comparison, form: Format) -> str:
    """The comparison as text in the given format, with a newline at its end."""
    writers: dict[Format, Callable[[Comparison], str]] = {
        "terminal": _terminal, "markdown": _markdown, "csv": _csv, "latex": _latex, "json": _json,
    }  # fmt: skip
    return writers[form](comparison)


def _terminal(comparison: Comparison) -> str:
    console = Console(width=WIDTH, highlight=False)
    with console.capture() as capture:
        tables, sources = arrange(comparison)
        for table in tables:
            console.print(_rich_table(table))
            for entry in table.entries:
                if entry.remark:
                    console.print(escape(f"  {entry.texts[0].strip()}: {entry.remark}"), style="dim")
            console.print()
        for source in sources:
            console.print(escape(source.sentence()), style="dim", soft_wrap=False)
        console.print(escape(headline(comparison)), style="bold")
    return capture.get()


def _rich_table(table: Table) -> RichTable:
    built = RichTable(
        title=escape(table.title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    taken = sum(WIDTHS.get(heading, 0) + SEPARATION for heading in table.headings)
    for heading in table.headings:
        justify: Literal["left", "right"] = "left" if heading in TEXT_COLUMNS else "right"
        built.add_column(heading, justify=justify, width=WIDTHS.get(heading, WIDTH - taken), overflow="fold")
    for entry in table.entries:
        built.add_row(*(escape(text) for text in entry.texts), style=COLOURS[entry.verdict])
    return built


def _markdown(comparison: Comparison) -> str:
    tables, sources = arrange(comparison)
    lines: list[str] = []
    for table in tables:
        rules = ["---" if heading in TEXT_COLUMNS else "---:" for heading in table.headings]
        lines += [f"### {table.title}", "", _markdown_row(table.headings), _markdown_row(rules)]
        for entry in table.entries:
            texts = list(entry.texts)
            texts[0] += f" ({entry.remark})" if entry.remark else ""
            lines.append(_markdown_row(texts))
        lines.append("")
    lines += [f"- {_markdown_text(source.sentence())}" for source in sources] + [""] * bool(sources)
    return "\n".join([*lines, headline(comparison)]) + "\n"


def _markdown_row(texts: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(_markdown_text(text) for text in texts) + " |"


def _markdown_text(text: str) -> str:
    escaped = "".join("\\" + character if character in "\\|*_<>[]`" else character for character in text)
    return escaped.replace("\n", " ")


def _csv(comparison: Comparison) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain_rows(comparison))
    return stream.getvalue()


def _latex(comparison: Comparison) -> str:
    """Tables for \\usepackage{booktabs, amssymb}."""
    tables, sources = arrange(comparison)
    return "\n\n".join(_latex_table(table, sources) for table in tables) + "\n"


def _latex_table(table: Table, sources: list[Source]) -> str:
    columns = "".join("l" if heading in TEXT_COLUMNS else "r" for heading in table.headings)
    body = [" & ".join(_latex_text(text) for text in entry.texts) + r" \\" for entry in table.entries]
    used = {entry.texts[-1] for entry in table.entries}
    notes = " ".join(_latex_text(source.sentence()) + "." for source in sources if source.letter in used)
    caption = f"{_latex_text(table.title)}. {notes}"
    return "\n".join([
        r"\begin{table}", r"\centering", rf"\caption{{{caption.rstrip()}}}",
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
        " & ".join(_latex_text(heading) for heading in table.headings) + r" \\", r"\midrule", *body, r"\bottomrule",
        r"\end{tabular}", r"\end{table}",
    ])  # fmt: skip


def _latex_text(text: str) -> str:
    return "".join(LATEX_SPECIALS.get(character, character) for character in text)


def _json(comparison: Comparison) -> str:
    return json.dumps(as_document(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
