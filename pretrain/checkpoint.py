"""Training states that survive anything, and the backbone file that everything after pretraining starts from.

A state is written whole or not at all, beside a card with its digest; a state whose digest does not fit is passed over
for the one before it. Files hold tensors and plain values only, so reading one never runs code.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pretrain.card import card_path, read_card
from results import atomic
from results.refusal import Refusal

STATES = "checkpoints"


def save_state(folder: Path, state: Mapping[str, Any], card: Mapping[str, Any], *, keep: int) -> Path:
    """Write `state` (with its "step") under `folder`/checkpoints with its card, then delete all but the last `keep`.

    Raises:
        Refusal: the folder cannot be written or the disk is full; earlier states are then untouched.
    """
    path = folder / STATES / f"step_{state['step']:09d}.pt"
    digest = _save(path, state)
    # The card comes second: a state without a card was never finished.
    _write_card(path, {**card, "sha256": digest})
    for old in _states(folder)[keep:]:
        card_path(old).unlink(missing_ok=True)
        old.unlink(missing_ok=True)
    return path


def last_state(folder: Path) -> Path | None:
    """The newest undamaged state under `folder`, or None when there is none yet. Damaged ones are named on stderr."""
    for path in _states(folder):
        problem = _problem(path)
        if problem is None:
            return path
        print(f"warning: {path}: {problem}; trying the checkpoint before it", file=sys.stderr)
    return None


def load_state(path: Path) -> dict[str, Any]:
    """The state written by `save_state`, on the CPU."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def save_backbone(path: Path, weights: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write a flat state dict with torchvision's names, no fc, and its card beside it as `path`.json."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    _write_card(path, {**card, "sha256": _save(path, plain)})


def file_digest(path: Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def all_finite(tensors: list[Tensor]) -> bool:
    """Whether no floating-point tensor holds an infinity or a NaN."""
    norms = torch._foreach_norm([tensor for tensor in tensors if tensor.is_floating_point()], float("inf"))
    return bool(torch.stack([norm.float() for norm in norms]).isfinite().all())


def _save(path: Path, content: Mapping[str, Any]) -> str:
    with atomic.atomic_file(path) as file:
        torch.save(dict(content), file)
    return file_digest(path)


def _states(folder: Path) -> list[Path]:
    return sorted((folder / STATES).glob("step_*.pt"), reverse=True)


def _problem(path: Path) -> str | None:
    try:
        card = read_card(path)
    except Refusal as refusal:
        return str(refusal)
    if card is None:
        return "has no card, so it was never finished"
    return None if card.get("sha256") == file_digest(path) else "is damaged (its digest is not its card's)"


def _write_card(path: Path, card: Mapping[str, Any]) -> None:
    atomic.write_text(card_path(path), json.dumps(card, indent=1, sort_keys=True, allow_nan=False) + "\n")
