"""Scenes for the detectors: stickers with a handwritten digit each, pasted into crops of a photograph."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import ConvexHull

from data.digits.source import Digits, draw

SCENE_SIDES = (112, 144)
DIGIT_SIDES = (30, 48)
OBJECTS_PER_SCENE = (2, 5)
CROWD_DIGIT_SIDES = (14, 18)
CROWD_SIZE = 5
CROWD_AREA_SIDE = 64

# (x0, y0, x1, y1) in pixels, the end excluded.
Box = tuple[int, int, int, int]

_MARGIN = 3
_INK_THRESHOLD = 90
_DARK, _LIGHT = 25, 235

# Training and test scenes are cut from different parts of the photographs (as shares of their width).
_PHOTO_PART = {"train": (0.0, 0.62), "val": (0.62, 1.0)}


@dataclass(frozen=True)
class Sticker:
    """A convex patch around a digit. `polygon` (vertices, 2) holds x, y in pixels from the patch's corner.

    `gray` and `mask` have shape (height, width); the mask's bounding box is the whole patch.
    """

    gray: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    polygon: NDArray[np.int64]


@dataclass(frozen=True)
class Placed:
    """A sticker in a scene, its corner at (`x`, `y`). `kind` counts digits first on dark, then on light stickers."""

    kind: int
    x: int
    y: int
    sticker: Sticker
    faint: bool = False

    @property
    def box(self) -> Box:
        """Where it is in the scene."""
        height, width = self.sticker.mask.shape
        return self.x, self.y, self.x + width, self.y + height


def make_sticker(ink: NDArray[np.uint8], width: int, height: int, *, light: bool) -> Sticker:
    """The (8, 8) digit drawn `width` x `height` on a dark or light patch that follows its outline with a margin."""
    glyph = np.pad(np.asarray(draw(ink, width, height)), _MARGIN)
    rows, columns = np.nonzero(glyph > _INK_THRESHOLD)
    low, high = -_MARGIN, _MARGIN + 1
    corners = np.concatenate([np.stack([columns + dx, rows + dy], 1) for dx in (low, high) for dy in (low, high)])
    corner, end = corners.min(axis=0), corners.max(axis=0)
    hull = ConvexHull(corners - corner)
    glyph = glyph[corner[1] : end[1], corner[0] : end[0]]
    centres = np.stack(np.meshgrid(np.arange(glyph.shape[1]), np.arange(glyph.shape[0])), -1) + 0.5  # (h, w, 2)
    mask = (centres @ hull.equations[:, :2].T + hull.equations[:, 2] <= 1e-9).all(axis=-1)
    paper, pen = (_LIGHT, _DARK) if light else (_DARK, _LIGHT)
    gray = np.round(paper + (pen - paper) * (glyph / 255.0)).astype(np.uint8)
    return Sticker(gray, mask, hull.points[hull.vertices].astype(np.int64))


def deal(digits: Digits, split: str, kinds: int, random: Generator) -> Iterator[tuple[int, int]]:
    """(kind, index of a digit) without end, every kind equally often; kind k shows the digit k modulo 10."""
    members = [[index for index in digits.split(split) if digits.labels[index] == label] for label in range(10)]
    while True:
        for kind in random.permutation(kinds):
            yield int(kind), int(random.choice(members[kind % 10]))


def background(photo: Image.Image, split: str, random: Generator) -> Image.Image:
    """A crop from the split's part of a photograph, `SCENE_SIDES` on each side."""
    width, height = (int(side) for side in random.integers(SCENE_SIDES[0], SCENE_SIDES[1] + 1, size=2))
    left, right = (round(share * photo.width) for share in _PHOTO_PART[split])
    zoom = random.uniform(1.0, min((right - left) / width, photo.height / height))
    x = left + random.uniform(0, right - left - zoom * width)
    y = random.uniform(0, photo.height - zoom * height)
    return photo.resize((width, height), Image.Resampling.BILINEAR, (x, y, x + zoom * width, y + zoom * height))


def place(
    digits: Digits,
    dealt: tuple[int, int],
    taken: list[Placed],
    area: Box,
    random: Generator,
    *,
    sides: tuple[int, int] = DIGIT_SIDES,
    faint: bool = False,
) -> Placed | None:
    """The dealt sticker at a spot within `area` that is not `taken`; None when ten tries find none."""
    kind, index = dealt
    width, height = (int(side) for side in random.integers(sides[0], sides[1] + 1, size=2))
    sticker = make_sticker(digits.ink[index], width, height, light=kind >= 10)
    tall, wide = sticker.mask.shape
    for _ in range(10):
        x = int(random.integers(area[0], area[2] - wide + 1))
        y = int(random.integers(area[1], area[3] - tall + 1))
        placed = Placed(kind, x, y, sticker, faint)
        if not any(_overlap(placed.box, other.box) for other in taken):
            return placed
    return None


def paste(scene: Image.Image, objects: list[Placed]) -> Image.Image:
    """The scene with the stickers pasted; faint ones let the photograph shine through."""
    pixels = np.asarray(scene).astype(np.float64)
    for item in objects:
        x0, y0, x1, y1 = item.box
        opacity = item.sticker.mask[..., None] * (0.4 if item.faint else 1.0)
        pixels[y0:y1, x0:x1] += opacity * (item.sticker.gray[..., None] - pixels[y0:y1, x0:x1])
    return Image.fromarray(np.round(pixels).astype(np.uint8))


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
