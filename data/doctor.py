"""Examines a data set before GPU hours are spent on it: counts, classes, labels, boxes, and files that decode."""

from pathlib import Path

from data import marker
from data.checks import coco, folders, inat, voc
from data.checks.images import decode_check
from data.finding import Check, Examined, Finding, Severity
from data.layouts import Layout, layout_of
from data.paths import existing_folder
from results.refusal import Refusal

__all__ = ["Check", "Finding", "Severity", "examine", "exit_status", "run_checks"]


def examine(dataset: str, root: Path, deep: bool = False) -> list[Finding]:
    """Everything that is wrong with `dataset` at `root`, notes included; an empty list when all is well.

    With `deep` every image is decoded, otherwise a small sample of each split. On the digits corpus the counts that
    its marker states are expected, elsewhere the published ones.

    Raises:
        Refusal: `dataset` is not the name of a data set.
    """
    return [finding for check in run_checks(dataset, root, deep) for finding in check.findings]


def run_checks(dataset: str, root: Path, deep: bool = False) -> list[Check]:
    """Every check that was made, with what it saw; see `examine`."""
    layout = layout_of(dataset)
    try:
        existing_folder(root, layout.title)
        found = _examine_layout(root, layout)
    except Refusal as refusal:
        message = f"{refusal} (expected below {root}: {layout.tree})"
        return [Check.failed("layout", message, severity=Severity.UNUSABLE)]
    decoded = [decode_check(split, images, deep=deep) for split, images in found.images.items() if images]
    return [_corpus_check(root), *found.checks, *decoded]


def exit_status(findings: list[Finding], strict: bool = False) -> int:
    """0 when all is well, 1 when something is wrong, 2 when the data cannot be used; notes count only when `strict`."""
    worst = max((finding.severity for finding in findings), default=Severity.NOTE)
    if strict and findings:
        worst = max(worst, Severity.PROBLEM)
    return int(worst)


def _examine_layout(root: Path, layout: Layout) -> Examined:
    if layout.name == "inat18":
        return inat.examine(root, layout)
    if layout.name in ("voc07", "voc0712"):
        return voc.examine(root, layout)
    if layout.name == "coco":
        return coco.examine(root, layout)
    return folders.examine(root, layout)


def _corpus_check(root: Path) -> Check:
    found = marker.find_marker(root)
    if found is None:
        return Check("corpus", "no digits marker: the published counts are expected")
    return Check("corpus", f"the embedded digits (seed {found.seed}): its marker's counts are expected")
