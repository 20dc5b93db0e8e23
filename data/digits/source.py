"""The corpus's raw material: 1,797 handwritten digits split once, drawn at varied sizes, and two photographs."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from data.subset import stratified

VAL_IMAGES = 360
SIDES = (32, 64)
JPEG_QUALITY = 92

_LARGEST_INK = 16


@dataclass(frozen=True)
class Digits:
    """All digits: `ink` (1797, 8, 8) from 0 to 255, `labels` (1797,), and the ascending indices of both splits."""

    ink: NDArray[np.uint8]
    labels: NDArray[np.int64]
    train: list[int]
    val: list[int]

    def split(self, name: str) -> list[int]:
        """The indices of "train" or "val"."""
        return {"train": self.train, "val": self.val}[name]


def load(seed: int) -> Digits:
    """scikit-learn's digits, `VAL_IMAGES` of them held out, each class by its share."""
    raw = load_digits()
    ink = np.round(raw.images * (255 / _LARGEST_INK)).astype(np.uint8)
    labels = raw.target.astype(np.int64)
    val = stratified([int(label) for label in labels], VAL_IMAGES, seed)
    held_out = set(val)
    return Digits(ink, labels, [index for index in range(len(labels)) if index not in held_out], val)


def photographs() -> list[Image.Image]:
    """scikit-learn's two sample photographs (RGB, 640 x 427)."""
    return [Image.fromarray(array) for array in load_sample_images().images]


def draw(ink: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    """An (8, 8) digit as a smooth grayscale image, white ink on black, `width` x `height` pixels."""
    return Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image) -> bytes:
    """The image as an RGB JPEG; equal pixels give equal bytes."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def digit_jpegs(digits: Digits, seed: int) -> list[tuple[bytes, int, int]]:
    """Each digit as (JPEG, width, height), its sides drawn from `SIDES` and within a tenth of each other."""
    random = np.random.default_rng([seed, 1])
    drawn = []
    for ink in digits.ink:
        width = int(random.integers(SIDES[0], SIDES[1] + 1))
        height = int(np.clip(round(width * random.uniform(0.9, 1.1)), *SIDES))
        drawn.append((jpeg(draw(ink, width, height)), width, height))
    return drawn
