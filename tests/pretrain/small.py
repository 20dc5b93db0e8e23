"""A small training set of noise images in ImageNet's layout, and a recipe short enough for a test."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from pretrain.recipes import RECIPES
from pretrain.settings import Recipe

RECIPE: Recipe = replace(
    RECIPES["demo"], global_batch_size=8, epochs=2, warmup_epochs=1, projector_width=16, train_images=20, class_count=2
)
"""20 images: steps of 8, 8 and 4, twice. The real ResNet-50, because that is what must resume."""

OPTIONS = [
    "--recipe.global-batch-size", "8", "--recipe.epochs", "2", "--recipe.projector-width", "16",
    "--recipe.train-images", "20", "--recipe.class-count", "2", "--run.device", "cpu", "--run.workers", "0",
    "--run.no-tensorboard", "--run.log-every-steps", "1",
]  # fmt: skip
"""The same recipe on the command line."""


def write_images(root: Path) -> Path:
    """train/{a,b} with ten images each and val/{a,b} with two."""
    random = np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 2)):
        for name in "ab":
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 256, (40, 36, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.JPEG")
    return root


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
