"""Notices a loss that is not finite without making the device wait."""

import math

import torch
from torch import Tensor


class DivergedError(RuntimeError):
    """A loss term is infinite or not a number; the message names the step and the term that went first."""


class FiniteWatch:
    """Looks at each step's terms one step later, when their copy has long arrived."""

    def __init__(self) -> None:
        self._pending: tuple[int, list[str], Tensor, torch.cuda.Event | None] | None = None

    def push(self, step: int, terms: dict[str, Tensor]) -> None:
        """Remember the terms of `step` and check those of the step before.

        Raises:
            DivergedError: those of the step before are not all finite.
        """
        self.check()
        # The parts come before their sum, so that the culprit is named and not the total.
        names = sorted(terms, key=lambda name: name == "loss")
        values = torch.stack([terms[name].detach().float() for name in names]).to("cpu", non_blocking=True)
        arrived = None
        if terms["loss"].is_cuda:
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record()
        self._pending = step, names, values, arrived

    def check(self) -> None:
        """Check the remembered terms now, waiting for them if need be.

        Raises:
            DivergedError: they are not all finite.
        """
        if self._pending is None:
            return
        step, names, values, arrived = self._pending
        self._pending = None
        if arrived is not None:
            arrived.synchronize()
        for name, value in zip(names, values.tolist(), strict=True):
            if not math.isfinite(value):
                raise DivergedError(f"step {step}: the {name} term is {value}")
