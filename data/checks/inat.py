"""Checks of iNaturalist 2018: both JSON files, their categories, and the files they name."""

from pathlib import Path

from data import inat
from data.checks.images import missing
from data.finding import Check, Examined, ImageFile, Severity, class_check, count_check, missing_check
from data.layouts import Layout
from data.marker import expected_classes, expected_counts


def examine(root: Path, layout: Layout) -> Examined:
    """Counts, categories equal in both splits and all in use, no image in both, every named file there.

    Raises:
        Refusal: a JSON file is missing, malformed, or names a file outside `root`.
    """
    splits = {split: inat.read_split(root, split) for split in inat.SPLITS}
    train = splits["train"]
    checks = [class_check(len(train.category_ids), expected_classes(root, layout.name))]
    if splits["val"].category_ids != train.category_ids:
        message = "the two JSON files list different categories; labels would not mean the same in both"
        checks.append(Check.failed("categories", message, severity=Severity.UNUSABLE))
    images: dict[str, list[ImageFile]] = {}
    for split, found in splits.items():
        checks.append(count_check(split, len(found.paths), expected_counts(root, layout.name)[split]))
        checks.append(_every_category(split, found))
        absent = missing(found.paths)
        gone = set(absent)
        checks.append(missing_check(f"{split} files", found.paths, absent))
        images[split] = [ImageFile(path) for path in found.paths if path not in gone]
    checks.append(_disjoint(train.paths, splits["val"].paths))
    return Examined(checks, images)


def _every_category(split: str, found: inat.InatSplit) -> Check:
    name = f"{split} categories"
    unused = sorted(set(range(len(found.category_ids))) - set(found.labels))
    if not unused:
        return Check(name, f"all {len(found.category_ids):,} have images")
    listed = ", ".join(str(found.category_ids[label]) for label in unused[:5])
    return Check.failed(name, f"{len(unused):,} categories have no image in {split}: {listed}")


def _disjoint(train: list[Path], val: list[Path]) -> Check:
    both = sorted(set(train) & set(val))
    if not both:
        return Check("splits apart", "no image is in both")
    return Check.failed("splits apart", f"{len(both):,} images are in both splits", both)
