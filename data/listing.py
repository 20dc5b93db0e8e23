"""Images and labels of the data sets with one label per image, in an order that does not depend on the machine."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from data import inat
from data.layouts import Layout, layout_of
from data.marker import find_marker
from data.paths import existing_folder
from data.subset import stratified
from results.refusal import Refusal

SPLITS = ("train", "val")

# What torchvision's ImageFolder takes for an image, so that the engines see the same files.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

_FOLDER_DATASETS = ("imagenet", "imagenet_1pct", "imagenet_10pct", "places205")


@dataclass(frozen=True)
class ImageList:
    """Images of one split: `labels[i]` is the position of the class of `paths[i]` in `classes`."""

    paths: list[Path]
    labels: list[int]
    classes: list[str]


def list_images(root: Path, dataset: str, split: str, *, limit: int = 0, seed: int = 0) -> ImageList:
    """The images of a split, sorted by class and name (iNat: in the order of its JSON).

    `classes` come from the training split for both splits, sorted by name (iNat: by category id), so a label means the
    same class everywhere. With `limit` a stratified part of about that many images, the same for the same `seed`.

    Raises:
        Refusal: a folder or list is missing, a split lacks a class that the other has, a class has no image, a label
            list has not the published content, or `dataset` has not one label per image.
    """
    assert split in SPLITS, split
    layout = layout_of(dataset)
    if dataset == "inat18":
        found = _inat(root, split)
    elif dataset in _FOLDER_DATASETS:
        found = _folders(root, layout, split)
    else:
        raise Refusal(f"{dataset} has several labels per image; see data.voc, or read it through its engine")
    if not limit:
        return found
    chosen = stratified(found.labels, limit, seed)
    return ImageList([found.paths[i] for i in chosen], [found.labels[i] for i in chosen], found.classes)


def class_folders(root: Path, split: str) -> list[str]:
    """The sorted names of the class folders of a split; hidden ones are left out.

    Raises:
        Refusal: the split's folder is missing or has no class folder.
    """
    folder = existing_folder(root / split, f"the {split} images, one folder per class")
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise Refusal(f"{folder} has no class folders; expected {split}/<class>/<image>")
    return classes


def image_names(folder: Path) -> list[str]:
    """The sorted names of the image files directly in `folder`; hidden files are left out."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_image_name(entry.name))


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image; hidden ones are not."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def read_label_list(root: Path, layout: Layout) -> list[str]:
    """The file names of a semi-supervised subset (`<class>_<number>.JPEG`), in the list's order.

    Raises:
        Refusal: the list is missing, holds something else, or (outside the digits corpus) is not the published one.
    """
    path = root / layout.list_file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refusal(f"{path} cannot be read; `python -m data lists --root {root}` fetches it") from error
    if find_marker(root) is None and hashlib.sha256(content).hexdigest() != layout.list_sha256:
        raise Refusal(f"{path} is not the published list (its SHA-256 is not {layout.list_sha256[:12]}…); copy it anew")
    names = content.decode("utf-8", errors="replace").split()
    for name in names:
        if "_" not in name or "/" in name or "\\" in name or "\0" in name or name.startswith("."):
            raise Refusal(f"{path}: {name[:80]!r} is not <class>_<number>.JPEG; copy the published list anew")
    if len(set(names)) != len(names):
        raise Refusal(f"{path} lists an image twice; copy the published list anew")
    if not names:
        raise Refusal(f"{path} is empty; copy the published list anew")
    return names


def _folders(root: Path, layout: Layout, split: str) -> ImageList:
    classes = class_folders(root, "train")
    if (found := class_folders(root, "val")) != classes:
        odd = sorted(set(classes) ^ set(found))
        here = "val" if odd[0] in classes else "train"
        raise Refusal(f"{root / here} lacks the class {odd[0]!r}, which the other split has ({len(odd)} such classes)")
    if split == "train" and layout.list_file:
        return _listed(root, layout, classes)
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        folder = root / split / name
        names = image_names(folder)
        if not names:
            raise Refusal(f"{folder} has no images; restore them, or remove the class from both splits")
        paths += [folder / image for image in names]
        labels += [label] * len(names)
    return ImageList(paths, labels, classes)


def _listed(root: Path, layout: Layout, classes: list[str]) -> ImageList:
    label_of = {name: label for label, name in enumerate(classes)}
    paths: list[Path] = []
    labels: list[int] = []
    for name in sorted(read_label_list(root, layout)):
        class_name = name.split("_", 1)[0]
        path = root / "train" / class_name / name
        if class_name not in label_of or not path.is_file():
            raise Refusal(f"{path} does not exist, but {root / layout.list_file} lists it")
        paths.append(path)
        labels.append(label_of[class_name])
    return ImageList(paths, labels, classes)


def _inat(root: Path, split: str) -> ImageList:
    found = inat.read_split(root, split)
    other = "val" if split == "train" else "train"
    if inat.read_split(root, other).category_ids != found.category_ids:
        raise Refusal(f"{inat.json_path(root, split)} and {inat.json_path(root, other)} have different categories")
    missing = sorted(set(range(len(found.category_ids))) - set(found.labels))
    if missing:
        category = found.category_ids[missing[0]]
        source = inat.json_path(root, split)
        raise Refusal(f"{source}: category {category} has no images ({len(missing)} such categories)")
    return ImageList(found.paths, found.labels, [str(category) for category in found.category_ids])
