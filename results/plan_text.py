"""`plan` printed as tables that fit 100 columns."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from results.commands import existing, read_aloud
from results.compare import compare
from results.costs import SCALING, Hardware, known_hardware
from results.plan import Step, plan
from results.probe import free_disk_gib, probe
from results.refusal import Refusal

WIDTH = 100
KINDS = {
    "checkpoint": "With a checkpoint: cheapest evidence first",
    "pretraining": "The ablations: 100 epochs of pretraining each, then the linear probe",
}


def print_plan(folder: Path, name: str, gpu_counts: tuple[int, ...]) -> int:
    """Print the plan for what the records in `folder` do not fill, on named hardware or on this machine.

    Raises:
        Refusal: unknown hardware, a number of GPUs below 1, or a probe that failed.
    """
    if min(gpu_counts) < 1:
        raise Refusal(f"--gpus is {min(gpu_counts)}, expected at least 1")
    if name and name not in known_hardware():
        raise Refusal(f"--hardware is {name!r}; choose one of {', '.join(known_hardware())}, or leave it out to probe")
    records, _ = read_aloud(existing(folder))
    hardware = known_hardware()[name] if name else probe()[0]
    steps = plan(compare(records), hardware, gpu_counts)
    sys.stdout.write(render_plan(steps, hardware, gpu_counts, free_disk_gib(folder)))
    return 0


def render_plan(steps: Sequence[Step], hardware: Hardware, gpu_counts: Sequence[int], free_gib: float) -> str:
    """The tables, the sums, what does not fit into memory or on the disk, and where the figures come from."""
    console = Console(width=WIDTH, highlight=False)
    with console.capture() as capture:
        if not steps:
            console.print("Every cell of the paper has been measured; nothing is left to plan.")
        for kind, title in KINDS.items():
            chosen = [step for step in steps if step.kind == kind]
            if chosen:
                console.print(_table(title, chosen, gpu_counts))
                console.print(_sums(chosen, gpu_counts), style="bold")
                for warning in _warnings(chosen, hardware, gpu_counts, free_gib):
                    console.print(f"! {warning}", style="yellow")
                console.print()
        console.print(
            f"{hardware.title}: {hardware.forward_images_per_second:,.0f} images/s forward, "
            f"{hardware.train_images_per_second:,.0f} trained, {hardware.views_per_second:,.0f} pretraining views/s, "
            f"{hardware.decoded_images_per_second_per_core:,.0f} images/s decoded on each of "
            f"{hardware.cores_per_gpu:g} cores for each GPU. Several GPUs keep {SCALING:.0%} of their speed each.",
            style="dim",
        )
        console.print(f"Source: {hardware.source}.", style="dim")
    return capture.get()


def hours_text(hours: float) -> str:
    """Hours as people say them: 12 min, 3.4 h, 21 d."""
    if hours < 1:
        return f"{max(1, round(hours * 60))} min"
    if hours < 100:
        return f"{hours:.1f} h"
    return f"{hours / 24:,.0f} d" if hours < 24 * 9999 else f"{hours / 24 / 365:,.0f} y"


def _table(title: str, steps: Sequence[Step], gpu_counts: Sequence[int]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False,
        collapse_padding=True,
    )  # fmt: skip
    # Numbers are never broken or cut; where the line is full, the longest names of runs go on in a second one.
    table.add_column("run", overflow="fold")
    headings = ["cells", *(f"{gpus} GPU{'s' * (gpus > 1)}" for gpus in gpu_counts)]
    disk = ("data GiB", "work GiB") if _disk_differs(steps) else ()
    for heading in (*headings, "GPU-h", "sum", "GPU GiB", *disk):
        table.add_column(heading, justify="right", no_wrap=True)
    total = 0.0
    for step in steps:
        total += step.gpu_hours
        table.add_row(
            step.name + (f" x {step.seeds} seeds" if step.seeds > 1 else ""), str(len(step.cells)),
            *(hours_text(value) for value in step.hours), _short(step.gpu_hours), _short(total),
            "/".join(f"{max(1, gib):.0f}" for gib in step.gpu_gib),
            *((f"{step.data_gib:g}", f"{step.work_gib:g}") if disk else ()),
        )  # fmt: skip
    return table


def _disk_differs(steps: Sequence[Step]) -> bool:
    return len({(step.data_gib, step.work_gib) for step in steps}) > 1


def _short(hours: float) -> str:
    return f"{hours:.1f}" if hours < 100 else f"{hours:,.0f}"


def _sums(steps: Sequence[Step], gpu_counts: Sequence[int]) -> str:
    cells = sum(len(step.cells) for step in steps)
    times = ", ".join(
        f"{hours_text(sum(step.hours[index] for step in steps))} on {gpus}" for index, gpus in enumerate(gpu_counts)
    )
    text = f"{cells} cells in {len(steps)} runs: {sum(step.gpu_hours for step in steps):,.0f} GPU-hours; {times}."
    if not _disk_differs(steps):
        text += f" Each needs {steps[0].data_gib:g} GiB of data and {steps[0].work_gib:g} GiB for its files."
    return text


def _warnings(steps: Sequence[Step], hardware: Hardware, gpu_counts: Sequence[int], free_gib: float) -> list[str]:
    found = []
    for index, gpus in enumerate(gpu_counts):
        tight = [step.name for step in steps if hardware.memory_gib and step.gpu_gib[index] > hardware.memory_gib]
        if tight:
            names = ", ".join(tight[:4]) + (f" and {len(tight) - 4} more" if len(tight) > 4 else "")
            found.append(f"{names}: the batch does not fit into {gpus} x {hardware.memory_gib:.0f} GiB")
    work = sum(step.work_gib for step in steps)
    if work > free_gib:
        found.append(f"{work:.0f} GiB of work files, {free_gib:.0f} GiB free on this disk")
    return found
