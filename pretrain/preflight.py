"""What is refused before any work, and the identity of the data. Imports no torch."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.corpus import identify
from data.listing import ImageList, list_images
from pretrain.card import is_whole, whole_card
from pretrain.run import Run
from pretrain.settings import Recipe
from results.records import DatasetIdentity
from results.refusal import Refusal

DATASET = "imagenet"
"""The layout every pretraining reads: train/<class>/<image>."""


@dataclass(frozen=True)
class Images:
    """The training images and what they are."""

    listed: ImageList
    identity: DatasetIdentity


def check_batch(recipe: Recipe, ranks: int, image_count: int) -> None:
    """Refuse a batch that ranks cannot share or that leaves a variance without samples.

    Raises:
        Refusal: naming the field and the remedy.
    """
    size = recipe.global_batch_size
    if size % ranks:
        raise Refusal(
            f"recipe.global_batch_size is {size}, which {ranks} ranks cannot share evenly; start "
            f"{_largest_divisor(size, ranks)} ranks, or choose a multiple of {ranks}"
        )
    if image_count < size and recipe.last_batch == "drop":
        raise Refusal(f'recipe.last_batch is "drop" and {image_count} images do not fill one batch of {size}')
    rest = image_count % size
    if rest and recipe.last_batch == "short" and rest < max(2, ranks):
        raise Refusal(
            f"the last batch of an epoch would have {rest} of {image_count} images, too few for a variance on {ranks} "
            "ranks; set --recipe.last-batch drop, or change --recipe.global-batch-size"
        )


def training_images(recipe: Recipe, run: Run) -> Images:
    """List and identify the training images.

    Raises:
        Refusal: the folder is missing or empty; or, with run.strict, its counts are not the recipe's (else a warning).
    """
    listed = list_images(run.data, DATASET, "train")
    found = (len(listed.paths), len(listed.classes))
    wanted = (recipe.train_images, recipe.class_count)
    if found != wanted:
        complaint = (
            f"{run.data} holds {found[0]:,} training images in {found[1]:,} classes, the recipe expects "
            f"{wanted[0]:,} in {wanted[1]:,}"
        )
        if run.strict:
            raise Refusal(f"{complaint}; restore the data set, or set recipe.train_images and recipe.class_count")
        if os.environ.get("RANK", "0") == "0":
            print(f"warning: {complaint}", file=sys.stderr)
    if run.limit:
        listed = list_images(run.data, DATASET, "train", limit=run.limit, seed=run.seed)
    subset = f"{len(listed.paths)} training images, seed {run.seed}" if run.limit else ""
    return Images(listed, identify(run.data, DATASET, subset=subset))


def check_folder(folder: Path, recipe: Recipe, card: Mapping[str, Any]) -> None:
    """Refuse a run folder that belongs to another run: another recipe, seed or set of images.

    Raises:
        Refusal: naming what differs.
    """
    states = sorted((folder / "checkpoints").glob("step_*.pt"), reverse=True)
    # Damaged cards are passed over, as their states are when the run goes on.
    of_states = [card for card in map(whole_card, states) if card is not None]
    of_backbone = whole_card(_backbone(folder, recipe))
    for earlier in (*of_states[:1], *([] if of_backbone is None else [of_backbone])):
        for what, key in (("recipe hash", "recipe_hash"), ("seed", "seed"), ("data set", "dataset")):
            if earlier.get(key) != card[key]:
                raise Refusal(
                    f"{folder} holds a run whose {what} is {_short(earlier.get(key))}, this command's is "
                    f"{_short(card[key])}; repeat the first command, or choose another --run.output"
                )


def is_done(folder: Path, recipe: Recipe) -> bool:
    """Whether the run's backbone file is there undamaged, with its card; else the last state makes both anew."""
    return is_whole(_backbone(folder, recipe))


def _backbone(folder: Path, recipe: Recipe) -> Path:
    return folder / f"{recipe.architecture}.pth"


def _short(value: Any) -> str:
    return str(value.get("fingerprint", value))[:16] if isinstance(value, dict) else str(value)


def _largest_divisor(number: int, below: int) -> int:
    return next(divisor for divisor in range(below, 0, -1) if number % divisor == 0)
