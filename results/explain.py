"""`explain CELL`: how it is measured, from which source, what is open, what others got, and why ours may differ."""

import difflib
import math
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from results.arranged import verdict_text
from results.cards import Card, read_card
from results.causes import causes_of
from results.compare import Line, compare, verdict_of
from results.knowledge import control_references, discrepancies, user_reports
from results.records import Record
from results.refusal import Refusal
from results.stages import Stage, stage_of
from results.tables import PaperNumber, later_numbers, targets, tolerances

WIDTH = 100
PRETRAINED_BY = "an ablation: 100 epochs of pretraining with that setting, then the linear probe"


def explain(cell: str, records: Sequence[Record], delta: float | None = None) -> str:
    """Everything known about a cell; `delta` asks about a difference that was not measured here.

    Raises:
        Refusal: no such cell, or `delta` is no finite number.
    """
    if delta is not None and not math.isfinite(delta):
        raise Refusal(f"--delta is {delta}, expected a finite number of points")
    if cell not in targets():
        within = [name for name in targets() if cell and cell in name]
        near = within[:3] or difflib.get_close_matches(cell, targets(), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ";"
        raise Refusal(f"unknown cell {cell!r}{hint} `python -m results cells` lists them")
    target, stage = targets()[cell], stage_of(cell)
    lines = [line for line in compare(records).lines if line.target.cell == cell and line.group]
    measured = next((line.delta for line in lines if line.row == target.row and not line.reason), None)
    asked = delta if delta is not None else measured
    console = Console(width=WIDTH, highlight=False)
    with console.capture() as capture:
        _print_claim(console, target)
        _print_measured(console, target, lines, delta)
        _print_protocol(console, stage)
        _print_reports(console, cell)
        _print_causes(console, cell, asked)
    return capture.get()


def _print_claim(console: Console, target: PaperNumber) -> None:
    tolerance, later = tolerances()[target.cell], later_numbers().get((target.cell, target.row))
    console.print(f"{target.cell}: {target.value:.1f} {target.unit}", style="bold")
    _facts(console, [
        ("read at", target.read_at),
        ("note", target.note),
        ("later version", f"{later.value:.1f} ({later.note})" if later else ""),
        ("tolerance", f"±{tolerance.tolerance:g} ({tolerance.basis}: {tolerance.reason}; {tolerance.source})"),
    ])  # fmt: skip


def _print_measured(console: Console, target: PaperNumber, lines: Sequence[Line], delta: float | None) -> None:
    _heading(console, "Measured")
    if delta is not None:
        verdict = verdict_of(delta, tolerances()[target.cell].tolerance)
        console.print(f"  asked about: delta {delta:+.2f}, {verdict_text(verdict)}")
    for line in lines:
        assert line.group is not None and line.ours is not None
        delta_text = f", delta {line.delta:+.2f}" if line.delta is not None else ""
        first = line.group.first
        reason = f" ({line.reason})" if line.reason else ""
        console.print(escape(
            f"  {line.row}: {line.ours.mean:.2f} over {line.ours.n} seed{'s' * (line.ours.n > 1)}{delta_text}, "
            f"{verdict_text(line.verdict)}{reason}; protocol {first.protocol}, {first.checkpoint.origin}"
        ))  # fmt: skip
    if not lines:
        console.print("  nothing yet")


def _print_protocol(console: Console, stage: Stage | None) -> None:
    _heading(console, "How it is measured")
    if stage is None:
        console.print(f"  {PRETRAINED_BY}")
        return
    console.print(f"  python -m {stage.room} {stage.protocol} --run.checkpoint CHECKPOINT --run.data DATA")
    card = read_card(stage.protocol)
    if card is None:
        console.print(f"  python -m {stage.room} {stage.protocol} --run.dry-run   prints every setting")
    else:
        _print_card(console, card)
    for item in discrepancies():
        if stage.protocol in item.concerns.replace(",", " ").split():
            console.print(
                Padding(escape(f"sources disagree ({item.number}): {item.problem}. Here: {item.choice}"), (0, 2))
            )


def _print_card(console: Console, card: Card) -> None:
    for item in card.settings:
        text = Text(f"{item.setting} = {item.value}  [{item.source}]")
        text.stylize("dim", len(text) - len(item.source) - 2)
        console.print(Padding(text, (0, 2)))
        if item.note:
            console.print(Padding(Text(item.note, style="dim"), (0, 2, 0, 6)))
    for question in card.open_questions:
        console.print(Padding(Text(f"open: {question}"), (0, 2)))


def _print_reports(console: Console, cell: str) -> None:
    reports = [report for report in user_reports() if report.cell == cell]
    controls = [reference for reference in control_references() if reference.cell == cell]
    if reports:
        _heading(console, "What others got")
    for report in reports:
        console.print(Padding(escape(f"{report.label} {report.value:g}: {report.setting} ({report.source})"), (0, 2)))
    if controls:
        _heading(console, "Controls: if one is off, the harness is at fault")
    for reference in controls:
        text = f"{reference.checkpoint}: {reference.value:g} ({reference.source}); {reference.note}"
        console.print(Padding(escape(text), (0, 2)))


def _print_causes(console: Console, cell: str, delta: float | None) -> None:
    found = causes_of(cell, delta)
    _heading(console, "Known causes" if delta is None else f"Likely causes of {delta:+.2f}")
    if not found:
        console.print("  none of the known causes has this sign and size")
    for cause in found:
        sign = {"below": "-", "above": "+", "either": "±"}[cause.direction]
        console.print(Padding(escape(f"{cause.cause} ({sign}{cause.least:g} to {sign}{cause.most:g})"), (0, 2)))
        console.print(Padding(escape(f"{cause.evidence} [{cause.source}]"), (0, 4)), style="dim")
        console.print(f"    test: {escape(cause.command)}", soft_wrap=True)


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(text, style="bold")


def _facts(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    for name, text in facts:
        if text:
            console.print(Padding(escape(f"{name}: {text}"), (0, 2)))
