"""Checks of PASCAL VOC: image sets, XML, boxes, and per-class files."""

from collections.abc import Sequence
from pathlib import Path

from data import members, voc
from data.checks.images import missing
from data.finding import Check, Examined, ImageFile, Severity, count_check, missing_check
from data.layouts import Layout
from data.marker import expected_counts
from data.progress import track
from results.refusal import Refusal

# Published boxes are 1-based; some touch 0 or the pixel after the last by rounding.
_TOLERANCE = 1.0


def examine(root: Path, layout: Layout) -> Examined:
    """Counts, images and XML there, XML safe and sane, class files complete and in keeping with the XML.

    Raises:
        Refusal: a year's folder or an image set is missing or malformed.
    """
    checks: list[Check] = []
    images: dict[str, list[ImageFile]] = {}
    seen: dict[str, set[Path]] = {}
    for split, sets in members.VOC_SPLITS[layout.name].items():
        found: list[ImageFile] = []
        for year, image_set in sets:
            folder = voc.year_folder(root, year)
            ids = voc.image_ids(folder, image_set)
            set_checks, set_images = _examine_set(folder, image_set, ids, with_labels=layout.name == "voc07")
            checks += set_checks
            found += set_images
        checks.append(count_check(split, len(found), expected_counts(root, layout.name)[split]))
        images[split] = found
        seen[split] = {image.path for image in found}
    if both := sorted(seen["train"] & seen["val"]):
        checks.append(Check.failed("splits apart", f"{len(both)} images are in train and val", both))
    return Examined(checks, images)


def _examine_set(
    folder: Path, image_set: str, ids: Sequence[str], *, with_labels: bool
) -> tuple[list[Check], list[ImageFile]]:
    name = f"{folder.name} {image_set}"
    paths = [voc.image_path(folder, image_id) for image_id in ids]
    absent = missing(paths)
    gone = set(absent)
    annotations, xml_check = _read_all(folder, name, ids)
    checks = [missing_check(f"{name} images", paths, absent), xml_check, _boxes(folder, name, annotations)]
    if with_labels:
        checks.append(_labels(folder, name, image_set, ids, annotations))
    sizes = {image_id: (found.width, found.height) for image_id, found in annotations.items()}
    images = [ImageFile(path, sizes.get(path.stem)) for path in paths if path not in gone]
    return checks, images


def _read_all(folder: Path, name: str, ids: Sequence[str]) -> tuple[dict[str, voc.Annotation], Check]:
    found: dict[str, voc.Annotation] = {}
    bad: list[tuple[Path, str]] = []
    for image_id in track(ids, f"reading {name} XML"):
        path = voc.annotation_path(folder, image_id)
        try:
            found[image_id] = voc.read_annotation(path)
        except Refusal as refusal:
            bad.append((path, str(refusal)))
    check = f"{name} XML"
    if not bad:
        objects = sum(len(annotation.objects) for annotation in found.values())
        return found, Check(check, f"{len(found):,} files, {objects:,} objects")
    message = f"{len(bad):,} of {len(ids):,} cannot be used; the first: {bad[0][1]}"
    return found, Check.failed(check, message, [path for path, _ in bad], Severity.UNUSABLE)


def _boxes(folder: Path, name: str, annotations: dict[str, voc.Annotation]) -> Check:
    check = f"{name} boxes"
    bad = [image_id for image_id, found in annotations.items() if any(not _sane(item, found) for item in found.objects)]
    if not bad:
        return Check(check, "inside their images, classes known")
    message = f"{len(bad):,} files with a box outside its image, an empty box, or an unknown class"
    return Check.failed(check, message, [voc.annotation_path(folder, image_id) for image_id in bad])


def _sane(item: voc.VocObject, image: voc.Annotation) -> bool:
    xmin, ymin, xmax, ymax = item.box
    inside = xmin >= 1 - _TOLERANCE and ymin >= 1 - _TOLERANCE
    inside = inside and xmax <= image.width + _TOLERANCE and ymax <= image.height + _TOLERANCE
    return inside and xmin < xmax and ymin < ymax and item.name in voc.CLASSES


def _labels(
    folder: Path, name: str, image_set: str, ids: Sequence[str], annotations: dict[str, voc.Annotation]
) -> Check:
    """Whether the twenty class files cover the image set and say what the XML says."""
    check = f"{name} class files"
    try:
        labelled, labels = voc.class_labels(folder, image_set)
    except Refusal as refusal:
        return Check.failed(check, str(refusal), severity=Severity.UNUSABLE)
    if set(labelled) != set(ids):
        odd = sorted(set(labelled) ^ set(ids))
        return Check.failed(check, f"{len(odd)} images are in {image_set}.txt or in a class file only, as {odd[0]}")
    row = {image_id: index for index, image_id in enumerate(labelled)}
    differing = [
        image_id
        for image_id, annotation in annotations.items()
        if tuple(labels[row[image_id]]) != voc.labels_from_objects(annotation.objects)
    ]
    if not differing:
        return Check(check, f"{len(voc.CLASSES)} files, as the XML says")
    message = f"{len(differing)} images are labelled otherwise than their XML says"
    files = [voc.annotation_path(folder, image_id) for image_id in differing]
    return Check.failed(check, message, files, Severity.NOTE)
