"""Which tensor moves at which rate, and BYOL's averaging factor, against hand derivations in float64."""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from pretrain.methods import Method
from pretrain.optimizers import build_optimizer, set_rates
from pretrain.recipes import RECIPES
from pretrain.schedule import momentum_factor
from pretrain.settings import Recipe

SIMSIAM = RECIPES["table3-simsiam-sg-pr-bn-no-reg"]
BYOL = RECIPES["table3-byol-me-sg-pr-bn-no-reg"]
BARLOW = RECIPES["barlow-twins"]
GRADIENT = 0.25


def heads() -> Method:
    """A trained layer, a predictor and a frozen copy, all weights 2 and biases 3, every gradient 0.25."""
    module = nn.ModuleDict({"backbone": nn.Linear(2, 2), "predictor": nn.Linear(2, 2), "frozen": nn.Linear(2, 2)})
    module.double()
    module["frozen"].requires_grad_(False)
    for name, parameter in module.named_parameters():
        parameter.data.fill_(3.0 if name.endswith("bias") else 2.0)
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, GRADIENT)
    whole = SimpleNamespace(parameters=module.parameters, predictor=module["predictor"], module=module)
    return cast(Method, whole)


def after_two_steps(recipe: Recipe, rates: tuple[float, float]) -> Mapping[str, float]:
    method = heads()
    optimizer = build_optimizer(recipe, method)
    for rate in rates:
        set_rates(optimizer, recipe, rate)
        for parameter in method.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.full_like(parameter, GRADIENT)
        optimizer.step()
    module = cast(Any, method).module
    return {name: float(parameter.detach().flatten()[0]) for name, parameter in module.named_parameters()}


def momentum_sgd(start: float, rates: tuple[float, float], decay: float) -> float:
    velocity, weight = 0.0, start
    for rate in rates:
        velocity = 0.9 * velocity + GRADIENT + decay * weight
        weight -= rate * velocity
    return weight


def lars(start: float, rates: tuple[float, float], decay: float, *, vector: bool) -> float:
    velocity, weight = 0.0, start
    for rate in rates:
        gradient = GRADIENT
        if not vector:
            gradient += decay * weight
            # Four equal entries: both norms are twice the entry.
            gradient *= 0.001 * abs(weight) / abs(gradient)
        velocity = 0.9 * velocity + gradient
        weight -= rate * velocity
    return weight


def test_simsiam_decays_every_tensor_and_keeps_the_predictors_rate_at_the_peak() -> None:
    assert SIMSIAM.peak_lr == pytest.approx(0.05 * 2048 / 256)
    found = after_two_steps(SIMSIAM, (0.1, 0.02))
    assert found["backbone.weight"] == pytest.approx(momentum_sgd(2.0, (0.1, 0.02), 1e-4), rel=1e-12)
    assert found["backbone.bias"] == pytest.approx(momentum_sgd(3.0, (0.1, 0.02), 1e-4), rel=1e-12)
    assert found["predictor.weight"] == pytest.approx(momentum_sgd(2.0, (0.4, 0.4), 1e-4), rel=1e-12)
    assert found["predictor.bias"] == pytest.approx(momentum_sgd(3.0, (0.4, 0.4), 1e-4), rel=1e-12)


def test_byol_has_lars_for_all_at_one_rate() -> None:
    assert BYOL.peak_lr == pytest.approx(7.2)
    found = after_two_steps(BYOL, (0.5, 0.3))
    for part in ("backbone", "predictor"):
        assert found[f"{part}.weight"] == pytest.approx(lars(2.0, (0.5, 0.3), 1e-6, vector=False), rel=1e-12)
        assert found[f"{part}.bias"] == pytest.approx(lars(3.0, (0.5, 0.3), 1e-6, vector=True), rel=1e-12)


def test_barlow_twins_moves_vectors_at_their_own_rate() -> None:
    assert BARLOW.peak_lr == pytest.approx(1.6)
    found = after_two_steps(BARLOW, (1.0, 0.5))
    assert found["backbone.weight"] == pytest.approx(lars(2.0, (1.0, 0.5), 1.5e-6, vector=False), rel=1e-12)
    # 0.0048 / 0.2 = 0.024 of the weights' rate.
    assert found["backbone.bias"] == pytest.approx(lars(3.0, (0.024, 0.012), 1.5e-6, vector=True), rel=1e-12)


@pytest.mark.parametrize("recipe", [SIMSIAM, BYOL, BARLOW, RECIPES["paper"]])
def test_a_frozen_target_is_nobodys_parameter(recipe: Recipe) -> None:
    assert after_two_steps(recipe, (1.0, 1.0))["frozen.weight"] == 2.0


def test_one_rate_for_all_is_one_group_so_that_vicregs_arithmetic_stays_as_it_was() -> None:
    groups = build_optimizer(RECIPES["official"], heads()).param_groups
    assert [len(group["params"]) for group in groups] == [4]


@pytest.mark.parametrize(
    ("step", "start", "expected"),
    [
        # 1 - (1 - τ)(cos(π k / K) + 1) / 2: at 0, a quarter, half and three quarters of K = 1000.
        (0, 0.99, 0.99),
        (250, 0.99, 1 - 0.01 * (math.sqrt(0.5) + 1) / 2),
        (500, 0.99, 0.995),
        (750, 0.996, 1 - 0.004 * (1 - math.sqrt(0.5)) / 2),
        (999, 0.99, 1 - 0.01 * (1 - math.cos(math.pi / 1000)) / 2),
    ],
)
def test_byols_averaging_factor(step: int, start: float, expected: float) -> None:
    assert momentum_factor(step, total_steps=1000, start=start) == pytest.approx(expected, rel=1e-14)


def test_the_averaging_factor_only_rises() -> None:
    taus = [momentum_factor(step, total_steps=50, start=0.9) for step in range(50)]
    assert (np.diff(taus) > 0).all() and taus[-1] < 1


@pytest.mark.parametrize("step", [-1, 50])
def test_steps_outside_the_schedule_have_no_factor(step: int) -> None:
    with pytest.raises(ValueError, match=f"step is {step}; the schedule has steps 0 to 49"):
        momentum_factor(step, total_steps=50, start=0.9)


def test_the_vectors_rate_must_be_positive() -> None:
    with pytest.raises(Exception, match="base_lr_vectors is 0; it must be above 0"):
        replace(BARLOW, base_lr_vectors=0)
