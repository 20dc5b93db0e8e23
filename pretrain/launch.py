"""From settings to a running, submitted or merely printed pretraining. Imports torch only once work starts."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.listing import ImageList
from data.preflight import look_first
from pretrain import preflight
from pretrain.agreement import agreed, carried
from pretrain.interrupt import leaving_at_once
from pretrain.recipes import RECIPES
from pretrain.run import Run, Slurm, output_folder
from pretrain.settings import Recipe
from results import provenance
from results.folder_lock import sole_user
from results.records import DatasetIdentity
from results.settings import canonical_json, deviations, settings_hash


def start(name: str, recipe: Recipe, run: Run, slurm: Slurm) -> int:
    """Print the plan (run.dry_run), submit (slurm.nodes), or train here; returns the exit status."""
    if run.dry_run:
        from pretrain import plan

        print(plan.describe(name, recipe, run, slurm))
        return 0
    if slurm.nodes:
        from pretrain import cluster

        return cluster.submit(name, recipe, run, slurm)
    with leaving_at_once():
        return train_here(name, recipe, run)


@dataclass(frozen=True)
class Ready:
    """A run that nothing is known to stand against. `card` is what describe_run returned."""

    images: ImageList
    card: dict[str, Any]
    folder: Path
    is_done: bool


def train_here(name: str, recipe: Recipe, run: Run) -> int:
    """Check everything that can be checked, then join the other ranks, make sure they mean the same, and train."""
    prepared = carried(lambda: _prepare(name, recipe, run))
    if isinstance(prepared, Ready) and prepared.is_done:
        if os.environ.get("RANK", "0") == "0":
            print(f"done already: {prepared.folder / recipe.architecture}.pth; delete it to write it again")
        return 0
    from pretrain import distributed, loop

    with distributed.joined_world(run.device, timeout_minutes=run.timeout_minutes) as world:
        ready = agreed(prepared, lambda ready: _claims(run, ready.card))
        if not world.is_first:
            return loop.train(recipe, run, ready.images, ready.folder, ready.card, world)
        with sole_user(ready.folder):
            return loop.train(recipe, run, ready.images, ready.folder, ready.card, world)


def _prepare(name: str, recipe: Recipe, run: Run) -> Ready:
    folder = output_folder(run, name)
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    images = preflight.training_images(recipe, run)
    preflight.check_batch(recipe, ranks, len(images.listed.paths))
    card = describe_run(name, recipe, run, images.identity, ranks)
    preflight.check_folder(folder, recipe, card)
    is_done = preflight.is_done(folder, recipe)
    if not is_done and not run.skip_doctor:
        look_first("pretrain", images.identity, run.data, folder)
    return Ready(images.listed, card, folder, is_done)


def _claims(run: Run, card: Mapping[str, Any]) -> dict[str, str]:
    """What ranks must have in common, because it moves the result."""
    moving = {name: str(getattr(run, name)) for name in ("seed", "limit", "precision", "views")}
    return {"recipe": card["recipe_hash"], "data set": card["dataset"]["fingerprint"][:16], **moving}


def describe_run(name: str, recipe: Recipe, run: Run, dataset: DatasetIdentity, ranks: int) -> dict[str, Any]:
    """The card that goes beside every checkpoint of the run; digest, step and epoch are added when one is written."""
    return {
        "label": recipe.method,
        "recipe": name,
        "recipe_hash": settings_hash(recipe),
        "settings": json.loads(canonical_json(recipe)),
        "deviations": list(deviations(RECIPES[name], recipe)),
        "run": json.loads(canonical_json(run)),
        "seed": run.seed,
        "ranks": ranks,
        "dataset": json.loads(canonical_json(dataset)),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(),
        "command": provenance.command(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
