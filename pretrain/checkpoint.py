"""Training states that survive anything, and the backbone file that everything after pretraining starts from.

A state is written whole or not at all, beside a card with its digest; a state whose digest does not fit is passed over
for the one before it. Files hold tensors and plain values only, so reading one never runs code.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pretrain.card import card_path, fitting_card, write_card
from results import atomic, sealed
from results.refusal import Refusal

STATES = "checkpoints"


def save_state(folder: Path, state: Mapping[str, Any], card: Mapping[str, Any], *, keep: int) -> Path:
    """Write `state` (with its "step") under `folder`/checkpoints with its card, then delete all but the last `keep`.

    Raises:
        Refusal: the folder cannot be written or the disk is full; earlier states are then untouched.
    """
    path = folder / STATES / f"step_{state['step']:09d}.pt"
    _save(path, state)
    # The card comes second: a state without a card was never finished.
    write_card(path, card)
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
    _save(path, plain)
    write_card(path, card)


def all_finite(tensors: list[Tensor]) -> bool:
    """Whether no floating-point tensor holds an infinity or a NaN."""
    norms = torch._foreach_norm([tensor for tensor in tensors if tensor.is_floating_point()], float("inf"))
    return bool(torch.stack([norm.float() for norm in norms]).isfinite().all())


def _save(path: Path, content: Mapping[str, Any]) -> None:
    with atomic.atomic_file(path) as file:
        torch.save(dict(content), file)


def _states(folder: Path) -> list[Path]:
    return sorted((folder / STATES).glob("step_*.pt"), reverse=True)


def _problem(path: Path) -> str | None:
    try:
        card = fitting_card(path, sealed.file_sha256(path))
    except Refusal as refusal:
        return str(refusal)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if card is None:
        return "has no card, so it was never finished"
    # Another version's card might have no digest; a state is only resumed from when it is known to be whole.
    return None if "sha256" in card else "its card has no digest"
