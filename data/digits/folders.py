"""The corpus's trees with one label per image: ImageNet, Places205 (prepared and as published) and iNat18."""

import json
import math
from pathlib import Path

import numpy as np

from data import inat, places
from data.digits.source import Digits
from data.subset import stratified

# The engines' linear probes take one pass over these per epoch; half the digits keep the demo short.
TRANSFER_TRAIN_IMAGES = 720

# Ten of Places205's classes, one of them with a second level as the archive has it.
PLACES_CLASSES = (
    "a/abbey", "a/apartment_building/outdoor", "b/badlands", "c/castle", "d/dam",
    "f/forest_path", "h/harbor", "l/lighthouse", "m/mountain", "s/ski_slope",
)  # fmt: skip

SUPER_CATEGORIES = ("Plantae",) * 4 + ("Insecta",) * 3 + ("Aves",) * 3

# (JPEG bytes, width, height) of each digit by its index.
Jpegs = list[tuple[bytes, int, int]]


def write_imagenet(root: Path, digits: Digits, jpegs: Jpegs, seed: int) -> dict[str, dict[str, int]]:
    """Write train/<class>/<class>_<index>.JPEG, val likewise, and the two label lists; return images by data set.

    The lists follow SimCLR's format. Each class gives a hundredth (a tenth) of its training images, rounded up: two
    and about fifteen; the shorter list is part of the longer one.
    """
    for split in ("train", "val"):
        for index in digits.split(split):
            write(root / split / _class(digits, index) / _image_name(digits, index), jpegs[index][0])
    counts = {"imagenet": {"train": len(digits.train), "val": len(digits.val)}}
    for name, file_name, share in (("imagenet_1pct", "1percent.txt", 0.01), ("imagenet_10pct", "10percent.txt", 0.1)):
        chosen = _share_of_each_class(digits, share, seed)
        write(root / file_name, "".join(f"{_image_name(digits, index)}\n" for index in chosen).encode())
        counts[name] = {"train": len(chosen), "val": len(digits.val)}
    return counts


def write_places(root: Path, raw_root: Path, digits: Digits, jpegs: Jpegs, seed: int) -> dict[str, int]:
    """Write the prepared tree (train/<class>/..., val/<class>/...) and the published one with its csv files."""
    for split in places.SPLITS:
        lines = []
        for index in _transfer_indices(digits, split, seed):
            label = int(digits.labels[index])
            relative = f"{PLACES_CLASSES[label]}/digit_{index:04d}.jpg"
            lines.append(f"{relative} {label}\n")
            write(raw_root / places.IMAGES / relative, jpegs[index][0])
            write(root / split / places.class_name(relative) / f"digit_{index:04d}.jpg", jpegs[index][0])
        write(places.csv_path(raw_root, split), "".join(lines).encode())
    return _transfer_counts(digits, seed)


def write_inat(root: Path, digits: Digits, jpegs: Jpegs, seed: int) -> dict[str, int]:
    """Write train_val2018/<super-category>/<category id>/*.jpg and the JSON file of each split."""
    for split in inat.SPLITS:
        images, annotations = [], []
        for index in _transfer_indices(digits, split, seed):
            category = int(digits.labels[index])
            name = f"train_val2018/{SUPER_CATEGORIES[category]}/{category}/{index:032x}.jpg"
            content, width, height = jpegs[index]
            write(root / name, content)
            images.append({"id": index, "file_name": name, "width": width, "height": height, "license": 0})
            annotations.append({"id": index, "image_id": index, "category_id": category})
        categories = [{"id": i, "name": f"digit {i}", "supercategory": name} for i, name in enumerate(SUPER_CATEGORIES)]
        content_json = {"info": {"year": 2018}, "images": images, "annotations": annotations, "categories": categories}
        write(inat.json_path(root, split), json.dumps({**content_json, "licenses": []}).encode())
    return _transfer_counts(digits, seed)


def write(path: Path, content: bytes) -> None:
    """Write a file of the corpus and the folders above it; the corpus counts as whole only by its marker."""
    try:
        path.write_bytes(content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _class(digits: Digits, index: int) -> str:
    return f"digit{digits.labels[index]}"


def _image_name(digits: Digits, index: int) -> str:
    return f"{_class(digits, index)}_{index}.JPEG"


def _share_of_each_class(digits: Digits, share: float, seed: int) -> list[int]:
    chosen: list[int] = []
    for label in range(10):
        members = [index for index in digits.train if digits.labels[index] == label]
        # One order per class for both shares, so that the smaller list lies within the larger.
        order = np.random.default_rng([seed, 2, label]).permutation(members)
        chosen += sorted(int(index) for index in order[: math.ceil(share * len(members))])
    return chosen


def _transfer_indices(digits: Digits, split: str, seed: int) -> list[int]:
    indices = digits.split(split)
    if split == "val":
        return indices
    chosen = stratified([int(digits.labels[index]) for index in indices], TRANSFER_TRAIN_IMAGES, seed)
    return [indices[position] for position in chosen]


def _transfer_counts(digits: Digits, seed: int) -> dict[str, int]:
    return {split: len(_transfer_indices(digits, split, seed)) for split in ("train", "val")}
