"""What a probe needs to go on exactly where it was: weights, momentum, position and the numbers so far."""

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pretrain import checkpoint
from results.refusal import Refusal

KEPT = 2


@dataclass
class Position:
    """`step` counts finished optimiser steps; `history` holds one entry for each finished epoch."""

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


def save_state(
    folder: Path, position: Position, heads: nn.Module, optimizer: torch.optim.Optimizer, trunk: nn.Module | None
) -> None:
    """Write the state atomically, with its digest, and keep the one before; `trunk` only where it is trained."""
    state = {
        "step": position.step,
        "position": vars(position),
        "heads": heads.state_dict(),
        "optimizer": optimizer.state_dict(),
        "trunk": trunk.state_dict() if trunk is not None else None,
    }
    checkpoint.save_state(folder, state, {"step": position.step}, keep=KEPT)


def load_state(folder: Path, heads: nn.Module, optimizer: torch.optim.Optimizer, trunk: nn.Module | None) -> Position:
    """Fill the modules and the optimizer from the newest undamaged state in `folder` and return its position.

    A fresh position where there is none; damaged states are named on stderr.

    Raises:
        Refusal: the state is whole, but of another probe.
    """
    path = checkpoint.last_state(folder)
    if path is None:
        return Position()
    try:
        state = checkpoint.load_state(path)
        heads.load_state_dict(state["heads"])
        optimizer.load_state_dict(state["optimizer"])
        if trunk is not None:
            trunk.load_state_dict(state["trunk"])
        return Position(**state["position"])
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, ValueError, EOFError) as error:
        raise Refusal(f"{path} does not fit ({str(error)[:100]}); delete it to start this evaluation anew") from error
