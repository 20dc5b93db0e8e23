"""Means over seeds with their spread, and the paired bootstrap between two checkpoints."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Measurements of one cell over seeds: mean, number, and from two seeds on the spread and the interval of the mean.

    `interval` is Student's two-sided 95 % confidence interval of the mean; `deviation` divides by n - 1.
    """

    mean: float
    n: int
    deviation: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class PairedDifference:
    """Accuracy of one checkpoint minus another's on the same images, in percentage points.

    `interval` is the 95 % percentile interval over resampled image sets; `p_value` the two-sided bootstrap p-value of
    no difference.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    images: int


def summarize(values: Sequence[float]) -> Summary:
    """Mean over seeds; `values` holds at least one number."""
    assert values
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(mean, 1, None, None)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = student_quantile(n - 1) * deviation / math.sqrt(n)
    return Summary(mean, n, deviation, (mean - half, mean + half))


def student_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """The t for which P(|T| <= t) is `confidence` under Student's distribution, by bisection."""
    low, high = 0.0, 1.0
    while student_probability(high, degrees) < confidence:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_probability(middle, degrees) < confidence else (low, middle)
    return high


def student_probability(t: float, degrees: int) -> float:
    """P(|T| <= t) for an integer number of degrees of freedom, as the finite sums of Abramowitz & Stegun 26.7.3-4."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2 == 1
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for k in range(1 if odd else 0, degrees - 1, 2):
        total += term
        term *= cosine**2 * (k + 1) / (k + 2)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def paired_bootstrap(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_], *, resamples: int = 10_000, seed: int = 0
) -> PairedDifference:
    """Resample images, keeping each image's two answers together, and look at the difference in accuracy.

    Only images on which exactly one checkpoint is right move the difference, so each resample is one draw of how many
    images fall in the three classes (only ours right, only theirs, neither alone): exact, and fast for any test set.

    Args:
        ours, theirs: (n,) whether each image was classified rightly, same images in the same order.

    Raises:
        ValueError: the two arrays do not pair up.
    """
    if ours.shape != theirs.shape or ours.ndim != 1 or len(ours) == 0:
        raise ValueError(f"predictions of shapes {ours.shape} and {theirs.shape} do not pair up image by image")
    n = len(ours)
    wins, losses = int(np.sum(ours & ~theirs)), int(np.sum(~ours & theirs))
    draws = np.random.default_rng(seed).multinomial(n, [wins / n, losses / n, (n - wins - losses) / n], size=resamples)
    differences = 100.0 * (draws[:, 0] - draws[:, 1]) / n  # (resamples,)
    low, high = np.percentile(differences, [50 * (1 - CONFIDENCE), 100 - 50 * (1 - CONFIDENCE)])
    # The observed set counts as one resample: no finite number of them shows a probability of 0.
    tail = (1 + min(int(np.sum(differences <= 0)), int(np.sum(differences >= 0)))) / (1 + resamples)
    return PairedDifference(100.0 * (wins - losses) / n, (float(low), float(high)), min(1.0, 2 * tail), n)
