"""What a checkpoint's card says against counting its numbers for the paper's row. Torch-free.

Cards are written by `pretrain` beside a checkpoint. Weights without one (downloads, the random control) have a
pretraining of which nothing is known here, which no line can speak of.
"""

from collections.abc import Mapping
from typing import Any

from pretrain.recipes import RECIPES, ROWS
from results.records import CheckpointIdentity, DatasetIdentity
from results.settings import settings_hash

ABLATIONS = ("table3/", "table4a/", "table4b/", "table6/", "batch_size/")
RECIPES_OF_ROWS = {
    "VICReg": ("paper", "official"),
    "Barlow Twins": ("barlow-twins",),
    "BYOL": ("figure2-byol-1000",),
    "SimSiam": ("figure2-simsiam-800",),
}
"""The recipes whose checkpoints stand for a row of Tables 1, 2 and 5."""
RECIPES_ON_DIGITS = {"VICReg": ("demo",)}


def recipe_name(card: Mapping[str, Any]) -> str:
    """The card's named recipe, "" where it names none."""
    return str(card.get("recipe", ""))


def pretraining_deviations(
    card: Mapping[str, Any], cell: str, checkpoint: CheckpointIdentity, dataset: DatasetIdentity
) -> tuple[str, ...]:
    """Why a number in `cell`, measured on `dataset`, is not that of `checkpoint.label`'s row, as "pretraining: ...".

    Empty where the pretraining is what the row says. An ablation's cell asks for a card whose recipe is that ablation.
    """
    lines = [*_recipe_lines(card, cell, checkpoint.label, dataset.corpus), *_data_lines(card, dataset.corpus)]
    return tuple(f"pretraining: {line}" for line in lines)


def _recipe_lines(card: Mapping[str, Any], cell: str, label: str, corpus: str) -> list[str]:
    is_ablation = cell.startswith(ABLATIONS)
    expected = _ablations_of(cell, corpus) if is_ablation else _recipes_of(label, corpus)
    if not card:
        return [f"no card beside the checkpoint says that it is {' or '.join(expected)}"] if is_ablation else []
    lines = _stopped_early(card)
    # Rows of several tables are one recipe under several names.
    if card.get("recipe_hash") in {settings_hash(RECIPES[name]) for name in expected}:
        return lines
    name = recipe_name(card)
    if (is_ablation or expected) and name not in expected:
        lines.append(f"recipe {name or 'unknown'} instead of {' or '.join(expected)}")
    return lines + [str(line) for line in card.get("deviations") or []]


def _stopped_early(card: Mapping[str, Any]) -> list[str]:
    """A state from the middle of a run has a card too."""
    settings = card.get("settings")
    done, epochs = card.get("epoch"), settings.get("epochs") if isinstance(settings, dict) else None
    if isinstance(done, int | float) and isinstance(epochs, int) and done < epochs - 1e-6:
        return [f"stopped after epoch {done:g} of {epochs}"]
    return []


def _data_lines(card: Mapping[str, Any], corpus: str) -> list[str]:
    data = card.get("dataset")
    skipped = card.get("unreadable_images")
    if not isinstance(data, dict):
        return []
    lines = [f"{skipped} unreadable training images skipped"] if isinstance(skipped, int) and skipped else []
    lines += [f"subset {data['subset']}"] if data.get("subset") else []
    if corpus == "official" and data.get("corpus") == "digits":
        lines.append("on the digits corpus")
    elif corpus == "official" and data.get("corpus") not in (None, "official"):
        lines.append("on other data than the published ImageNet")
    return lines


def _ablations_of(cell: str, corpus: str) -> tuple[str, ...]:
    """The rows that fill `cell`: the demo's on digits, the paper's elsewhere."""
    return tuple(
        row.name for row in ROWS if row.cell == cell and (row.table == "demo-ablations") == (corpus == "digits")
    )


def _recipes_of(label: str, corpus: str) -> tuple[str, ...]:
    return (RECIPES_ON_DIGITS if corpus == "digits" else RECIPES_OF_ROWS).get(label, ())
