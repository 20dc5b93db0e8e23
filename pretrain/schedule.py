"""The learning rate of B.1 and the momentum of BYOL's target, pure functions of the step."""

import math


def warmup_cosine(step: int, *, total_steps: int, warmup_steps: int, peak_lr: float, final_lr: float) -> float:
    """Learning rate at `step` (0 to total_steps - 1): a line from 0 to `peak_lr`, then half a cosine to `final_lr`.

    The first step's rate is 0, step `warmup_steps` has the peak, and `final_lr` would be reached at `total_steps`, one
    step after the last (B.1 and the released code).

    Raises:
        ValueError: the step lies outside the schedule, or the warm-up is not shorter than it.
    """
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(f"warmup_steps is {warmup_steps}; it must be at least 0 and below total_steps ({total_steps})")
    if not 0 <= step < total_steps:
        raise ValueError(f"step is {step}; the schedule has steps 0 to {total_steps - 1}")
    if step < warmup_steps:
        return peak_lr * step / warmup_steps
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    share = 0.5 * (1 + math.cos(math.pi * progress))
    return peak_lr * share + final_lr * (1 - share)


def momentum_factor(step: int, *, total_steps: int, start: float) -> float:
    """BYOL's τ at `step` (0 to total_steps - 1): 1 - (1 - `start`) (cos(π step / total_steps) + 1) / 2.

    Raises:
        ValueError: the step lies outside the schedule.
    """
    if not 0 <= step < total_steps:
        raise ValueError(f"step is {step}; the schedule has steps 0 to {total_steps - 1}")
    return 1 - (1 - start) * (math.cos(math.pi * step / total_steps) + 1) / 2
