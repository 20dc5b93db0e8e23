"""The corpus's COCO tree: scenes with boxes, polygon masks along each sticker's outline, and a few crowd regions.

Digit k stands for the official category with id k + 1; all 80 official categories are listed, as in the real files.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from data import coco
from data.digits.folders import write
from data.digits.scenes import (
    CROWD_AREA_SIDE,
    CROWD_DIGIT_SIDES,
    CROWD_SIZE,
    OBJECTS_PER_SCENE,
    Placed,
    background,
    deal,
    paste,
    place,
)
from data.digits.source import Digits, jpeg

SCENES = {"train": 120, "val": 50}

# One scene in ten has a crowd, one in thirty nothing at all: COCO's training set has 1,021 such images.
CROWD_EVERY, EMPTY_EVERY = 10, 30


def write_coco(root: Path, digits: Digits, photos: list[Image.Image], seed: int) -> dict[str, int]:
    """Write {train,val}2017 and annotations/instances_{train,val}2017.json below `root`; return images by split."""
    for stream, (split, count) in enumerate(SCENES.items(), start=20):
        random = np.random.default_rng([seed, stream])
        dealt = deal(digits, split, 10, random)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for image_id in range(1, count + 1):
            scene = background(photos[image_id % len(photos)], split, random)
            objects, crowd = _objects(digits, dealt, scene.size, random, image_id)
            name = f"{image_id:012d}.jpg"
            write(coco.image_folder(root, split) / name, jpeg(paste(scene, objects + crowd)))
            images.append(
                {"id": image_id, "file_name": name, "width": scene.width, "height": scene.height, "license": 1}
            )
            found = [_instance(item) for item in objects] + ([_crowd(crowd, scene.size)] if crowd else [])
            annotations += [{"id": 1000 * image_id + i, "image_id": image_id, **item} for i, item in enumerate(found)]
        content = {
            "info": {"description": "scikit-learn digits pasted into its photographs", "year": 2017},
            "licenses": [{"id": 1, "name": "BSD-3-Clause", "url": ""}],
            "images": images,
            "annotations": annotations,
            "categories": [{"id": key, "name": name} for key, name in coco.CATEGORIES.items()],
        }
        write(coco.json_path(root, split), json.dumps(content).encode())
    return dict(SCENES)


def _objects(
    digits: Digits, dealt: Iterator[tuple[int, int]], size: tuple[int, int], random: Generator, image_id: int
) -> tuple[list[Placed], list[Placed]]:
    """The single stickers of a scene and the members of its crowd, if it has one."""
    if image_id % EMPTY_EVERY == 0:
        return [], []
    # The crowd goes first: its members need free ground close together.
    crowd = _crowd_members(digits, next(dealt), size, random) if image_id % CROWD_EVERY == 5 else []
    objects: list[Placed] = []
    for _ in range(int(random.integers(OBJECTS_PER_SCENE[0], OBJECTS_PER_SCENE[1] + 1))):
        if (placed := place(digits, next(dealt), crowd + objects, (0, 0, *size), random)) is not None:
            objects.append(placed)
    return objects, crowd


def _crowd_members(digits: Digits, dealt: tuple[int, int], size: tuple[int, int], random: Generator) -> list[Placed]:
    """Several small copies of one sticker, close together."""
    x, y = (int(random.integers(0, side - CROWD_AREA_SIDE + 1)) for side in size)
    area = (x, y, x + CROWD_AREA_SIDE, y + CROWD_AREA_SIDE)
    crowd: list[Placed] = []
    for _ in range(CROWD_SIZE):
        placed = place(digits, dealt, crowd, area, random, sides=CROWD_DIGIT_SIDES)
        crowd += [placed] if placed is not None else []
    return crowd


def _instance(item: Placed) -> dict[str, Any]:
    x0, y0, x1, y1 = item.box
    polygon = item.sticker.polygon + np.array([x0, y0])
    return {
        "category_id": item.kind + 1,
        "iscrowd": 0,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": int(item.sticker.mask.sum()),
        "segmentation": [[int(value) for value in polygon.ravel()]],
    }


def _crowd(crowd: list[Placed], size: tuple[int, int]) -> dict[str, Any]:
    region: NDArray[np.bool_] = np.zeros((size[1], size[0]), dtype=bool)
    for item in crowd:
        x0, y0, x1, y1 = item.box
        region[y0:y1, x0:x1] |= item.sticker.mask
    rows, columns = np.nonzero(region)
    x, y = int(columns.min()), int(rows.min())
    return {
        "category_id": crowd[0].kind + 1,
        "iscrowd": 1,
        "bbox": [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y],
        "area": int(region.sum()),
        "segmentation": {"counts": _run_lengths(region), "size": [size[1], size[0]]},
    }


def _run_lengths(region: NDArray[np.bool_]) -> list[int]:
    """COCO's uncompressed encoding: lengths of alternating runs down the columns, the first of zeros (maybe empty)."""
    flat = np.concatenate([[False], region.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(length) for length in np.diff(np.concatenate([[0], changes, [region.size]]))]
