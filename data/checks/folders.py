"""Checks of the data sets whose classes are folders: ImageNet, its two labelled subsets, and the prepared Places205."""

import os
from pathlib import Path

from data import listing
from data.checks.images import missing
from data.finding import Check, Examined, ImageFile, Severity, class_check, count_check, missing_check
from data.layouts import Layout
from data.marker import expected_classes, expected_counts


def examine(root: Path, layout: Layout) -> Examined:
    """Classes, counts, empty folders, stray files, and the label list.

    Raises:
        Refusal: a split's folder is missing, or the label list is missing or not the published one.
    """
    classes = {split: listing.class_folders(root, split) for split in listing.SPLITS}
    checks = [class_check(len(classes["train"]), expected_classes(root, layout.name)), _same_classes(root, classes)]
    images: dict[str, list[ImageFile]] = {}
    stray: list[Path] = []
    for split, names in classes.items():
        paths, others, empty = _walk(root / split, names)
        stray += others
        if split == "train" and layout.list_file:
            paths, list_checks = _listed(root, layout, paths)
            checks += list_checks
        images[split] = [ImageFile(path) for path in paths]
        checks.append(count_check(split, len(paths), expected_counts(root, layout.name)[split]))
        if empty:
            checks.append(Check.failed(f"{split} classes", f"{len(empty)} class folders without an image", empty))
    if stray:
        message = f"{len(stray)} files that are not images lie among them and are left out"
        checks.append(Check.failed("other files", message, stray, Severity.NOTE))
    return Examined(checks, images)


def _same_classes(root: Path, classes: dict[str, list[str]]) -> Check:
    name = "same classes in both splits"
    odd = sorted(set(classes["train"]) ^ set(classes["val"]))
    if not odd:
        return Check(name, f"{len(classes['val'])} in val")
    lacking = [root / ("val" if label in classes["train"] else "train") / label for label in odd]
    message = f"{len(odd)} classes are in one split only; labels would not mean the same in both"
    return Check.failed(name, message, lacking, Severity.UNUSABLE)


def _walk(folder: Path, names: list[str]) -> tuple[list[Path], list[Path], list[Path]]:
    """Image files, other files, and class folders without an image, below a split's folder."""
    images: list[Path] = []
    others: list[Path] = []
    empty: list[Path] = []
    for name in names:
        with os.scandir(folder / name) as entries:
            found = sorted(entry.name for entry in entries)
        usable = [item for item in found if listing.is_image_name(item)]
        images += [folder / name / item for item in usable]
        others += [folder / name / item for item in found if not listing.is_image_name(item)]
        if not usable:
            empty.append(folder / name)
    return images, others, empty


def _listed(root: Path, layout: Layout, present: list[Path]) -> tuple[list[Path], list[Check]]:
    """The listed training images that are there, and the checks of the list."""
    names = listing.read_label_list(root, layout)
    paths = [root / "train" / name.split("_", 1)[0] / name for name in sorted(names)]
    absent = missing(paths)
    gone = set(absent)
    classes = len({path.parent.name for path in paths})
    checks = [
        Check("label list", f"{layout.list_file}: {len(names):,} images of {classes:,} classes"),
        missing_check("listed images", paths, absent),
    ]
    return [path for path in paths if path not in gone], checks
