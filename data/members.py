"""The files a data set consists of: images by split, the files with its labels, and the folders that hold them."""

import os
from pathlib import Path

from data import coco, inat, listing, voc
from data.layouts import layout_of
from data.paths import existing_folder

# Which image sets of which year make up a split of the two VOC tasks.
VOC_SPLITS: dict[str, dict[str, tuple[tuple[int, str], ...]]] = {
    "voc07": {"train": ((2007, "trainval"),), "val": ((2007, "test"),)},
    "voc0712": {"train": ((2007, "trainval"), (2012, "trainval")), "val": ((2007, "test"),)},
}


def images(root: Path, dataset: str) -> dict[str, list[Path]]:
    """Images by split.

    Raises:
        Refusal: a folder or label file is missing or malformed.
    """
    if dataset in VOC_SPLITS:
        return {
            split: [
                voc.image_path(folder, image_id) for folder, ids in voc_ids(root, dataset, split) for image_id in ids
            ]
            for split in VOC_SPLITS[dataset]
        }
    if dataset == "coco":
        return {split: coco.image_paths(root, split) for split in coco.SPLITS}
    return {split: listing.list_images(root, dataset, split).paths for split in listing.SPLITS}


def voc_ids(root: Path, dataset: str, split: str) -> list[tuple[Path, list[str]]]:
    """The year's folder and image ids of each image set that makes up a split of "voc07" or "voc0712"."""
    folders = [(voc.year_folder(root, year), image_set) for year, image_set in VOC_SPLITS[dataset][split]]
    return [(folder, voc.image_ids(folder, image_set)) for folder, image_set in folders]


def label_files(root: Path, dataset: str) -> list[Path]:
    """The files that hold the labels, in a fixed order; folder-labelled data sets may have none."""
    if dataset == "voc07":
        return [
            voc.split_path(folder, image_set, name)
            for folder, image_set in _voc_sets(root, dataset)
            for name in ("", *voc.CLASSES)
        ]
    if dataset == "voc0712":
        return [
            path
            for folder, image_set in _voc_sets(root, dataset)
            for path in (
                voc.split_path(folder, image_set),
                *(voc.annotation_path(folder, image_id) for image_id in voc.image_ids(folder, image_set)),
            )
        ]
    if dataset == "coco":
        return [coco.json_path(root, split) for split in coco.SPLITS]
    if dataset == "inat18":
        return [inat.json_path(root, split) for split in inat.SPLITS]
    layout = layout_of(dataset)
    return [root / layout.list_file] if layout.list_file else []


def image_folders(root: Path, dataset: str) -> list[Path]:
    """Every folder whose modification time tells that an image was added, removed or renamed."""
    if dataset in VOC_SPLITS:
        return sorted(
            {folder / "JPEGImages" for folder, _ in _voc_sets(root, dataset) if (folder / "JPEGImages").is_dir()}
        )
    if dataset == "coco":
        return [existing_folder(coco.image_folder(root, split), f"COCO's {split} images") for split in coco.SPLITS]
    tops = ["train_val2018"] if dataset == "inat18" else list(listing.SPLITS)
    found: list[Path] = []
    for top in tops:
        folder = existing_folder(root / top, f"the images of {layout_of(dataset).title}")
        found += [folder, *_subfolders(folder, levels=2 if dataset == "inat18" else 1)]
    return found


def _voc_images(root: Path, dataset: str, split: str) -> list[Path]:
    return [voc.image_path(folder, image_id) for folder, ids in voc_ids(root, dataset, split) for image_id in ids]


def _voc_sets(root: Path, dataset: str) -> list[tuple[Path, str]]:
    sets = [pair for pairs in VOC_SPLITS[dataset].values() for pair in pairs]
    return [(voc.year_folder(root, year), image_set) for year, image_set in sets]


def _subfolders(folder: Path, levels: int) -> list[Path]:
    with os.scandir(folder) as entries:
        found = sorted(Path(entry.path) for entry in entries if entry.is_dir())
    return found + [deeper for path in found for deeper in _subfolders(path, levels - 1)] if levels > 1 else found
