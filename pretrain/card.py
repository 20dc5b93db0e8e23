"""The cards beside checkpoints: read without torch, and held to their own digest and to the checkpoint's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results import sealed
from results.refusal import Refusal


def card_path(checkpoint: Path) -> Path:
    """Where the card of a checkpoint is."""
    return checkpoint.with_name(checkpoint.name + ".json")


def write_card(checkpoint: Path, content: Mapping[str, Any]) -> None:
    """Write the card of the finished checkpoint, with the checkpoint's digest and the card's own."""
    sealed.write_json(card_path(checkpoint), {**content, "sha256": sealed.file_sha256(checkpoint)})


def read_card(checkpoint: Path) -> dict[str, Any] | None:
    """The card of a checkpoint, or None when it has none.

    Raises:
        Refusal: there is one, but it is not a JSON object, or not as it was written.
    """
    card = card_path(checkpoint)
    if not card.is_file():
        return None
    try:
        return sealed.read_json(card, digest_required=False)
    except Refusal as refusal:
        raise Refusal(f"{refusal}; it should be the checkpoint's card: restore or delete it") from refusal


def fitting_card(checkpoint: Path, sha256: str) -> dict[str, Any] | None:
    """The card of the checkpoint whose file has the digest `sha256`, or None when it has none.

    Raises:
        Refusal: the card is damaged, or the checkpoint is not the file that its card describes.
    """
    card = read_card(checkpoint)
    if card is not None and card.get("sha256", sha256) != sha256:
        raise Refusal(
            f"{checkpoint} is not the file its card describes (SHA-256 {sha256[:12]}…, {card_path(checkpoint).name} "
            f"says {str(card['sha256'])[:12]}…): damaged or replaced; restore it, or remove the card"
        )
    return card


def whole_card(checkpoint: Path) -> dict[str, Any] | None:
    """The card of a checkpoint, or None when it has none or a damaged one, which counts as never finished."""
    try:
        return read_card(checkpoint)
    except Refusal:
        return None


def is_whole(checkpoint: Path) -> bool:
    """Whether the checkpoint is there as it was written, with its undamaged card."""
    try:
        return checkpoint.is_file() and fitting_card(checkpoint, sealed.file_sha256(checkpoint)) is not None
    except (OSError, Refusal):
        return False
