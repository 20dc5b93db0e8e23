"""The cards beside checkpoints, read without torch."""

import json
from pathlib import Path
from typing import Any

from results.refusal import Refusal


def card_path(checkpoint: Path) -> Path:
    """Where the card of a checkpoint is."""
    return checkpoint.with_name(checkpoint.name + ".json")


def read_card(checkpoint: Path) -> dict[str, Any] | None:
    """The card of a checkpoint, or None when it has none.

    Raises:
        Refusal: there is one, but it is not a JSON object.
    """
    card = card_path(checkpoint)
    if not card.is_file():
        return None
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refusal(f"{card}: not a readable checkpoint card ({error}); restore or delete it") from error
    if not isinstance(content, dict):
        raise Refusal(f"{card}: not a checkpoint card (no JSON object); restore or delete it")
    return content


def whole_card(checkpoint: Path) -> dict[str, Any] | None:
    """The card of a checkpoint, or None when it has none or a damaged one, which counts as never finished."""
    try:
        return read_card(checkpoint)
    except Refusal:
        return None
