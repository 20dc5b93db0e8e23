"""Checks of COCO 2017: categories, identities, boxes and masks of the instances files, and the images they name."""

import math
from pathlib import Path
from typing import Any

from data import coco, safe_json
from data.checks.images import missing
from data.finding import Check, Examined, Finding, ImageFile, Severity, count_check, missing_check
from data.layouts import Layout
from data.marker import expected_counts
from data.paths import below

# Published boxes have two decimals and a few of them reach a fraction of a pixel over the edge.
_TOLERANCE = 1.0

Item = dict[str, Any]


def examine(root: Path, layout: Layout) -> Examined:
    """Counts, the 80 categories, identities, boxes inside images, well-formed masks, every named image there.

    Raises:
        Refusal: an instances file is missing, malformed, or names a file outside its folder.
    """
    checks: list[Check] = []
    images: dict[str, list[ImageFile]] = {}
    for split in coco.SPLITS:
        source = coco.json_path(root, split)
        content = safe_json.read_object(source)
        items = safe_json.objects(content, "images", source)
        annotations = safe_json.objects(content, "annotations", source)
        categories = safe_json.objects(content, "categories", source)
        sizes = {safe_json.integer(item, "id", source): _size(item, source) for item in items}
        checks.append(_categories(split, categories, source))
        checks.append(_identities(split, items, annotations, sizes, source))
        checks.append(_annotations(split, annotations, sizes))
        folder = coco.image_folder(root, split)
        files = [ImageFile(below(folder, item.get("file_name"), source), _size(item, source)) for item in items]
        absent = missing(image.path for image in files)
        gone = set(absent)
        checks.append(missing_check(f"{split} files", [image.path for image in files], absent))
        checks.append(count_check(split, len(items), expected_counts(root, layout.name)[split]))
        images[split] = [image for image in files if image.path not in gone]
    return Examined(checks, images)


def _size(item: Item, source: Path) -> tuple[int, int]:
    return safe_json.integer(item, "width", source), safe_json.integer(item, "height", source)


def _categories(split: str, categories: list[Item], source: Path) -> Check:
    name = f"{split} categories"
    found = {safe_json.integer(item, "id", source): item.get("name") for item in categories}
    if found == coco.CATEGORIES:
        return Check(name, f"the {len(found)} published ids and names")
    message = (
        f"{len(found)} categories that are not the 80 published ids and names; engines would number them otherwise"
    )
    return Check.failed(name, message, [source], Severity.UNUSABLE)


def _identities(split: str, items: list[Item], annotations: list[Item], sizes: dict[int, Any], source: Path) -> Check:
    """Whether every id is unique and every annotation belongs to an image and a category."""
    name = f"{split} identities"
    faults: list[str] = []
    if len(sizes) != len(items):
        faults.append("two images share an id")
    if len({safe_json.integer(item, "id", source) for item in annotations}) != len(annotations):
        faults.append("two annotations share an id")
    if orphans := sum(safe_json.integer(item, "image_id", source) not in sizes for item in annotations):
        faults.append(f"{orphans:,} annotations belong to no image")
    if strangers := sum(safe_json.integer(item, "category_id", source) not in coco.CATEGORIES for item in annotations):
        faults.append(f"{strangers:,} annotations have an unknown category")
    if not faults:
        return Check(name, f"{len(items):,} images, {len(annotations):,} annotations")
    return Check.failed(name, "; ".join(faults), [source], Severity.UNUSABLE)


def _annotations(split: str, annotations: list[Item], sizes: dict[int, tuple[int, int]]) -> Check:
    name = f"{split} boxes and masks"
    known = [(item, sizes[item["image_id"]]) for item in annotations if item["image_id"] in sizes]
    findings = [
        *_finding(name, [item for item, size in known if not _box_is_inside(item, size)], "boxes outside the image"),
        *_finding(name, [item for item, size in known if not _mask_is_well_formed(item, size)], "malformed masks"),
        # The published training file has such a box; Detectron2 drops it.
        *_finding(name, [item for item, _ in known if _is_degenerate(item)], "boxes without area", Severity.NOTE),
    ]
    crowds = sum(item.get("iscrowd") == 1 for item in annotations)
    summary = "; ".join(finding.message for finding in findings) or f"inside their images; {crowds:,} crowd regions"
    return Check(name, summary, tuple(findings))


def _finding(name: str, bad: list[Item], what: str, severity: Severity = Severity.PROBLEM) -> list[Finding]:
    if not bad:
        return []
    first = ", ".join(str(item.get("id")) for item in bad[:5])
    return [Finding(name, f"{len(bad):,} {what} (annotations {first})", severity)]


def _box(item: Item) -> tuple[float, float, float, float] | None:
    box = item.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        return None
    return box[0], box[1], box[2], box[3]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _box_is_inside(item: Item, size: tuple[int, int]) -> bool:
    if (box := _box(item)) is None:
        return False
    x, y, width, height = box
    inside = x >= -_TOLERANCE and y >= -_TOLERANCE and width >= 0 and height >= 0
    return inside and x + width <= size[0] + _TOLERANCE and y + height <= size[1] + _TOLERANCE


def _is_degenerate(item: Item) -> bool:
    box = _box(item)
    return box is not None and (box[2] == 0 or box[3] == 0)


def _mask_is_well_formed(item: Item, size: tuple[int, int]) -> bool:
    """Polygons of at least three points for single objects, run lengths of the image's size for crowds."""
    mask = item.get("segmentation")
    if isinstance(mask, list):
        return bool(mask) and all(_is_polygon(part) for part in mask)
    if not isinstance(mask, dict) or mask.get("size") != [size[1], size[0]]:
        return False
    counts = mask.get("counts")
    if isinstance(counts, list):
        return all(type(run) is int and run >= 0 for run in counts) and sum(counts) == size[0] * size[1]
    return isinstance(counts, str)


def _is_polygon(part: object) -> bool:
    return isinstance(part, list) and len(part) >= 6 and len(part) % 2 == 0 and all(_is_number(value) for value in part)
