"""Means, intervals and the paired bootstrap against hand calculations and SciPy."""

import numpy as np
import pytest
from scipy import stats

from results.statistics import paired_bootstrap, student_probability, student_quantile, summarize


def test_five_known_values_have_their_textbook_mean_spread_and_interval() -> None:
    # By hand: mean 82.42, sum of squares 0.428, sd sqrt(0.428/4) = 0.32711, t(4) = 2.77645, half 0.40616.
    summary = summarize([82.1, 82.6, 82.3, 82.9, 82.2])
    assert summary.mean == pytest.approx(82.42)
    assert summary.deviation == pytest.approx(0.327109, abs=1e-6)
    assert summary.interval == pytest.approx((82.01384, 82.82616), abs=1e-4)


def test_one_value_has_no_spread() -> None:
    summary = summarize([73.2])
    assert (summary.mean, summary.n, summary.deviation, summary.interval) == (73.2, 1, None, None)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 10, 29, 120])
def test_students_distribution_is_scipys(degrees: int) -> None:
    for t in (0.05, 0.7, 2.0, 15.0):
        assert student_probability(t, degrees) == pytest.approx(1 - 2 * stats.t.sf(t, degrees), abs=1e-12)
    assert student_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-9)


def naive_bootstrap(ours: np.ndarray, theirs: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Resampling image by image, as the textbook says it."""
    generator = np.random.default_rng(seed)
    picks = generator.integers(0, len(ours), size=(resamples, len(ours)))
    return 100 * (ours[picks].mean(axis=1) - theirs[picks].mean(axis=1))


def test_the_bootstrap_agrees_with_resampling_image_by_image() -> None:
    generator = np.random.default_rng(1)
    theirs = generator.random(800) < 0.70
    ours = np.where(generator.random(800) < 0.1, generator.random(800) < 0.9, theirs)
    found = paired_bootstrap(ours, theirs, resamples=20_000)
    plain = naive_bootstrap(ours, theirs, 4_000, seed=2)
    assert found.difference == pytest.approx(100 * (ours.mean() - theirs.mean()))
    assert found.interval == pytest.approx(tuple(np.percentile(plain, [2.5, 97.5])), abs=0.2)
    assert found.images == 800


def test_the_bootstrap_is_the_same_each_time_and_sees_no_difference_where_there_is_none() -> None:
    answers = np.arange(500) % 3 == 0
    found = paired_bootstrap(answers, answers.copy())
    assert (found.difference, found.interval, found.p_value) == (0.0, (0.0, 0.0), 1.0)
    flipped = np.roll(answers, 1)
    assert paired_bootstrap(answers, flipped) == paired_bootstrap(answers, flipped)


def test_pairing_is_what_makes_a_small_difference_certain() -> None:
    theirs = np.arange(10_000) < 7_000
    ours = np.arange(10_000) < 7_040  # right wherever they are, and on 40 images more
    found = paired_bootstrap(ours, theirs)
    assert found.interval[0] > 0 and found.p_value < 0.001
    # Unpaired, the binomial error of each is about 0.9 points and would hide 0.4.
    assert found.interval[1] - found.interval[0] < 0.3


@pytest.mark.parametrize("theirs", [np.ones(3, bool), np.ones((4, 1), bool)])
def test_arrays_that_do_not_pair_up_are_refused(theirs: np.ndarray) -> None:
    with pytest.raises(ValueError, match="do not pair up"):
        paired_bootstrap(np.ones(4, bool), theirs)
