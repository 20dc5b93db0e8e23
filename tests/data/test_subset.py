"""Stratified subsets: shares, determinism, and the same classes in both splits."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.subset import stratified, with_each_class


def test_each_class_keeps_its_share() -> None:
    labels = [0] * 600 + [1] * 300 + [2] * 100
    chosen = Counter(labels[index] for index in stratified(labels, 100, seed=0))
    assert chosen == {0: 60, 1: 30, 2: 10}


def test_what_is_left_over_goes_to_the_largest_fractions() -> None:
    # Shares of 15 among 11 + 5 + 4 images: 8.25, 3.75 and 3.0.
    labels = [0] * 11 + [1] * 5 + [2] * 4
    assert Counter(labels[index] for index in stratified(labels, 15, seed=0)) == {0: 8, 1: 4, 2: 3}


def test_a_rare_class_keeps_one_image() -> None:
    labels = [0] * 999 + [1]
    assert 999 in stratified(labels, 20, seed=0)


@pytest.mark.parametrize("limit", [0, 10, 11])
def test_no_limit_or_one_beyond_the_whole_takes_everything(limit: int) -> None:
    assert stratified([0, 1] * 5, limit, seed=0) == list(range(10))


def test_both_splits_keep_the_same_classes_when_there_is_no_room_for_all() -> None:
    train, val = [label for label in range(1000) for _ in range(13)], [label for label in range(1000) for _ in range(5)]
    kept_train = {train[index] for index in stratified(train, 200, seed=3)}
    kept_val = {val[index] for index in stratified(val, 200, seed=3)}
    assert kept_train == kept_val
    assert len(kept_train) == 40


def test_another_seed_chooses_other_images() -> None:
    labels = [0, 1] * 500
    assert stratified(labels, 100, seed=0) == stratified(labels, 100, seed=0)
    assert stratified(labels, 100, seed=0) != stratified(labels, 100, seed=1)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=300), st.integers(1, 300), st.integers(0, 5))
def test_indices_ascend_without_repetition_and_number_about_the_limit(labels: list[int], limit: int, seed: int) -> None:
    chosen = stratified(labels, limit, seed)
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(range(len(labels)))
    # A kept class never falls below one image, so the limit is passed by less than one image per kept class.
    assert len(chosen) <= max(limit, 1) + max(1, limit // 5)


def test_every_class_of_many_an_image_keeps_enough() -> None:
    # As rare as VOC2007's rarest: 20 classes, the rarest in 2 % of 5,000 images, most images with one class only.
    generator = np.random.default_rng(0)
    positive = generator.random((5000, 20)) < np.linspace(0.02, 0.1, 20)
    for seed in range(5):
        chosen = with_each_class(positive, 64, at_least=3, seed=seed)
        assert len(chosen) == 64 and chosen == sorted(set(chosen))
        assert positive[chosen].sum(axis=0).min() >= 3
    assert with_each_class(positive, 64, 3, seed=0) != with_each_class(positive, 64, 3, seed=1)


def test_enough_of_each_class_comes_before_the_limit_and_a_class_without_images_is_no_obstacle() -> None:
    positive = np.zeros((50, 21), dtype=bool)
    positive[np.arange(40), np.arange(40) % 20] = True
    assert len(with_each_class(positive, 10, at_least=2, seed=0)) == 40
    assert len(with_each_class(positive, 0, at_least=2, seed=0)) == 50
    assert len(with_each_class(positive, 60, at_least=2, seed=0)) == 50
