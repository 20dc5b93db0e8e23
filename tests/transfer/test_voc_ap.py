"""Average precision against numbers measured from VISSL 0.1.6, curves worked out by hand, and VISSL itself."""

import numpy as np
import pytest
from numpy.typing import NDArray

from transfer.voc_ap import average_precision

# Measured once from VISSL 0.1.6: vissl/utils/svm_utils/evaluate.py, get_precision_recall, on `golden_inputs`.
GOLDEN = [(200, 0.1, 0.5643861388082271), (1000, 0.05, 0.3625348018408517), (50, 0.5, 0.9224318859088972)]


def golden_inputs() -> list[tuple[NDArray[np.int64], NDArray[np.float64], float]]:
    rng = np.random.default_rng(5)
    rows = []
    for n, positive_rate, expected in GOLDEN:
        targets = np.where(rng.random(n) < positive_rate, 1, -1)
        rows.append((targets, rng.standard_normal(n) + 0.8 * targets, expected))
    return rows


def test_golden_values_of_vissl_are_met_to_1e_9() -> None:
    for targets, scores, expected in golden_inputs():
        assert average_precision(targets > 0, scores) == pytest.approx(expected, abs=1e-9)


@pytest.mark.engine
def test_vissl_itself_agrees_on_random_rankings() -> None:
    from transfer.engines import vissl_compat

    with vissl_compat.quiet():
        from vissl.utils.svm_utils.evaluate import get_precision_recall
    rng = np.random.default_rng(11)
    for n in (3, 40, 500):
        targets = np.where(rng.random(n) < 0.3, 1, -1)
        targets[0] = 1
        scores = rng.standard_normal(n)
        _, _, _, expected = get_precision_recall(targets, scores)
        assert average_precision(targets > 0, scores) == pytest.approx(float(expected[0]), abs=1e-12)


def test_a_perfect_ranking_is_one_and_the_worst_is_the_share_of_positives() -> None:
    scores = np.array([0.9, 0.8, 0.2, 0.1])
    assert average_precision(np.array([True, True, False, False]), scores) == 1.0
    # Hits at ranks 3 and 4: precisions 1/3 and 1/2; the first is raised to the later 1/2.
    assert average_precision(np.array([False, False, True, True]), scores) == pytest.approx(0.5)


def test_precision_is_raised_to_the_highest_at_any_larger_recall() -> None:
    # Hits at ranks 1, 3, 4: precisions 1, 2/3, 3/4 at recalls 1/3, 2/3, 1; the second is raised to 3/4.
    positive = np.array([True, False, True, True])
    assert average_precision(positive, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx((1 + 3 / 4 + 3 / 4) / 3)


def test_without_a_positive_there_is_no_average_precision() -> None:
    with pytest.raises(ValueError, match="0 of 3"):
        average_precision(np.zeros(3, bool), np.arange(3.0))
