"""JPEG files like those of ImageNet, from scikit-learn's two photographs, the same on every machine."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images

SIZE = (500, 334)
"""Width and height, in pixels; ImageNet's median photograph is about as large."""
QUALITY = 90


def write_photographs(folder: Path, count: int, *, seed: int = 0) -> list[Path]:
    """`count` JPEG files of 500 x 334 pixels (some upright), each another crop of a real photograph, in `folder`.

    Crops keep at least 80 % of either side and are shrunk to the final size, so the detail, and with it the
    cost of decoding, is that of a photograph and not of an enlargement.
    """
    originals = [Image.fromarray(pixels) for pixels in load_sample_images().images]  # 640 x 427 each
    random = np.random.default_rng(seed)
    paths = []
    for index in range(count):
        path = folder / f"{index:05d}.jpg"
        _crop(originals[index % len(originals)], random).save(path, quality=QUALITY)
        paths.append(path)
    return paths


def _crop(original: Image.Image, random: np.random.Generator) -> Image.Image:
    share = random.uniform(0.8, 1.0)
    width, height = int(original.width * share), int(original.height * share)
    left, top = (int(random.integers(0, room + 1)) for room in (original.width - width, original.height - height))
    image = original.crop((left, top, left + width, top + height))
    image = image.resize(SIZE, Image.Resampling.BICUBIC)
    if random.random() < 0.5:
        image = ImageOps.mirror(image)
    if random.random() < 0.25:
        image = image.transpose(Image.Transpose.ROTATE_90)
    return image
