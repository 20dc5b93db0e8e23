"""What a probe needs to go on exactly where it was: weights, momentum, position and the numbers so far."""

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from results import atomic
from results.refusal import Refusal

STATE_FILE = "state.pt"


@dataclass
class Position:
    """`step` counts finished optimiser steps; `history` holds one entry for each finished epoch."""

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


def save_state(
    folder: Path, position: Position, heads: nn.Module, optimizer: torch.optim.Optimizer, trunk: nn.Module | None
) -> None:
    """Write the state atomically; `trunk` only where it is trained."""
    state = {
        "position": vars(position),
        "heads": heads.state_dict(),
        "optimizer": optimizer.state_dict(),
        "trunk": trunk.state_dict() if trunk is not None else None,
    }
    with atomic.atomic_file(folder / STATE_FILE) as file:
        torch.save(state, file)


def load_state(folder: Path, heads: nn.Module, optimizer: torch.optim.Optimizer, trunk: nn.Module | None) -> Position:
    """Fill the modules and the optimizer from `folder` and return the position; a fresh one where nothing was saved.

    Raises:
        Refusal: the file is damaged.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return Position()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        heads.load_state_dict(state["heads"])
        optimizer.load_state_dict(state["optimizer"])
        if trunk is not None:
            trunk.load_state_dict(state["trunk"])
        return Position(**state["position"])
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, ValueError, EOFError) as error:
        raise Refusal(f"{path} is damaged ({str(error)[:100]}); delete it to start this evaluation anew") from error
