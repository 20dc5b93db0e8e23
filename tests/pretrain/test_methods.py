"""BYOL, SimSiam, Barlow Twins and VICReg's variants against numpy and hand derivations, in float64."""

import math
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pretrain.branches import METHODS, BranchRecipe
from pretrain.methods import Method, build
from pretrain.methods.barlow_twins import cross_correlation
from pretrain.recipes import RECIPES
from pretrain.settings import LossRecipe, Recipe
from results.refusal import Refusal

D = 10
Array = NDArray[np.float64]


class Trunk(nn.Module):
    """Stands for the ResNet: a linear map of images (n, 3, 2, 2) to 5 features."""

    out_features = 5

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.map = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x.flatten(1))  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def small_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("vicreg", "byol", "simsiam", "barlow_twins"):
        monkeypatch.setattr(f"pretrain.methods.{module}.ARCHITECTURES", {"resnet50": Trunk})


def method(name: str, loss: LossRecipe = LossRecipe(), **branches: Any) -> Method:  # noqa: B008
    torch.manual_seed(3)
    recipe = Recipe(method=name, loss=loss, branches=BranchRecipe(**branches), projector_width=D)
    return build(recipe).double()


def views(count: int = 9) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(5)
    x = random.standard_normal((count, 3, 2, 2))
    return torch.tensor(x), torch.tensor(x + 0.3 * random.standard_normal(x.shape))


def numpy_head(head: nn.Module, x: Array) -> Array:
    """A head written out: linear layers, batch norm with the batch's own biased variance, ReLU."""
    for layer in head if isinstance(head, nn.Sequential) else []:
        if isinstance(layer, nn.Linear):
            x = x @ array(layer.weight).T + (0 if layer.bias is None else array(layer.bias))
        elif isinstance(layer, nn.BatchNorm1d):
            x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
            x = x if layer.weight is None else x * array(layer.weight) + array(layer.bias)
        else:
            x = np.maximum(x, 0)
    return x


def array(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)


def projections(chosen: Method, x: Tensor) -> Array:
    trunk = chosen.backbone.map
    assert isinstance(trunk, nn.Linear)
    y = array(x).reshape(len(x), -1) @ array(trunk.weight).T + array(trunk.bias)
    return numpy_head(chosen.projector, y)


def cosines(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


ASYMMETRIC = {"stop_gradient": True, "predictor": True}


@pytest.mark.parametrize("momentum_encoder", [False, True])
def test_byol_is_the_mean_of_2_minus_2_cos_in_both_directions(momentum_encoder: bool) -> None:
    byol = method("BYOL", LossRecipe(1, 0, 0), momentum_encoder=momentum_encoder, projector_hidden=7, **ASYMMETRIC)
    x_a, x_b = views()
    z_a, z_b = projections(byol, x_a), projections(byol, x_b)
    q_a, q_b = numpy_head(byol.predictor, z_a), numpy_head(byol.predictor, z_b)
    # ξ starts as θ, so the first targets are the online projections.
    expected = ((2 - 2 * cosines(q_a, z_b)) + (2 - 2 * cosines(q_b, z_a))).mean() / 2
    assert byol(x_a, x_b).terms["loss"].item() == pytest.approx(expected, rel=1e-9)


def test_simsiam_is_half_the_negative_cosine_each_way() -> None:
    simsiam = method("SimSiam", LossRecipe(1, 0, 0), predictor_hidden=4, **ASYMMETRIC)
    x_1, x_2 = views()
    z_1, z_2 = projections(simsiam, x_1), projections(simsiam, x_2)
    p_1, p_2 = numpy_head(simsiam.predictor, z_1), numpy_head(simsiam.predictor, z_2)
    expected = -(cosines(p_1, z_2) + cosines(p_2, z_1)).mean() / 2
    assert simsiam(x_1, x_2).terms["loss"].item() == pytest.approx(expected, rel=1e-9)


def test_barlow_twins_draws_the_cross_correlation_to_the_identity() -> None:
    barlow = method("Barlow Twins", LossRecipe(1, 0, 0))
    x_a, x_b = views()
    standard = [(z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) for z in (projections(barlow, x) for x in (x_a, x_b))]
    c = standard[0].T @ standard[1] / len(x_a)
    expected = sum((1 - c[i, i]) ** 2 for i in range(D))
    expected += 0.0051 * sum(c[i, j] ** 2 for i in range(D) for j in range(D) if i != j)
    assert barlow(x_a, x_b).terms["loss"].item() == pytest.approx(expected, rel=1e-9)
    found = cross_correlation(*(torch.tensor(z) for z in standard))
    np.testing.assert_allclose(found.numpy(), c, rtol=1e-12)


def test_standardised_columns_have_numpys_correlation_coefficients() -> None:
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 20, 3))
    expected = np.corrcoef(a.T, b.T)[:3, 3:]
    standard = (torch.tensor((z - z.mean(0)) / z.std(0)) for z in (a, b))
    np.testing.assert_allclose(cross_correlation(*standard).numpy(), expected, rtol=1e-12)


def test_vicreg_with_a_predictor_compares_predictions_with_the_other_projections() -> None:
    vicreg = method("VICReg", LossRecipe(3, 0, 0), predictor=True)
    x_a, x_b = views()
    z_a, z_b = projections(vicreg, x_a), projections(vicreg, x_b)
    p_a, p_b = numpy_head(vicreg.predictor, z_a), numpy_head(vicreg.predictor, z_b)
    expected = 3 * (((p_a - z_b) ** 2).mean() + ((p_b - z_a) ** 2).mean()) / 2
    assert vicreg(x_a, x_b).terms["loss"].item() == pytest.approx(expected, rel=1e-9)


def test_vicreg_on_the_sphere_is_equation_9_with_terms_of_unit_vectors() -> None:
    loss = LossRecipe(25, 25, 1, gamma_unit="one-over-root-d", epsilon_unit="gamma-squared")
    vicreg = method("VICReg", loss, output="unit")
    x_a, x_b = views()
    z_a, z_b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (projections(vicreg, x) for x in (x_a, x_b)))
    gamma, eps = 1 / math.sqrt(D), 1e-4 / D
    expected = -25 * cosines(z_a, z_b).mean()
    for z in (z_a, z_b):
        c = np.cov(z.T)
        expected += 25 * np.maximum(0, gamma - np.sqrt(np.diag(c) + eps)).mean()
        expected += ((c**2).sum() - (np.diag(c) ** 2).sum()) / D
    assert vicreg(x_a, x_b).terms["loss"].item() == pytest.approx(expected, rel=1e-9)


def test_standardised_projections_have_variance_1_and_no_trained_scale() -> None:
    vicreg = method("VICReg", output="standardised")
    z = vicreg(*views()).embedding_a
    assert z.var(0, unbiased=False).tolist() == pytest.approx([1.0] * D, rel=1e-3)
    assert vicreg.projector[-1].weight is None  # type: ignore[index]


def test_the_epsilon_that_does_not_shrink_with_gamma_swallows_the_hinge() -> None:
    # d = 8192: a dimension without any variance should miss γ = 0.01105 wholly; the floor of 0.01 leaves 0.00105.
    fixed, scaled = (LossRecipe(gamma_unit="one-over-root-d", epsilon_unit=u) for u in ("one", "gamma-squared"))  # type: ignore[arg-type]
    left = []
    for settings in (fixed, scaled):
        gamma, eps = settings.hinge_target(8192)
        left.append((gamma - math.sqrt(eps)) / gamma)
    assert left == pytest.approx([0.0949, 0.99], abs=1e-4)


@pytest.mark.parametrize("name", ["BYOL", "SimSiam"])
def test_the_terms_of_vicreg_are_added_on_the_projections_and_never_on_the_predictions(name: str) -> None:
    plain = method(name, LossRecipe(1, 0, 0), **ASYMMETRIC)
    regularised = method(name, LossRecipe(1, 1, 0.01), **ASYMMETRIC)
    x_a, x_b = views()
    expected = plain(x_a, x_b).terms["loss"].item()
    for z in (projections(plain, x_a), projections(plain, x_b)):
        c = np.cov(z.T)
        expected += np.maximum(0, 1 - np.sqrt(np.diag(c) + 1e-4)).mean()
        expected += 0.01 * ((c**2).sum() - (np.diag(c) ** 2).sum()) / D
    assert regularised(x_a, x_b).terms["loss"].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["VICReg", "BYOL", "SimSiam"])
def test_no_gradient_flows_into_a_stopped_branch(name: str) -> None:
    """The gradient is that of the same loss against targets that are constants, and not that of the whole loss."""
    switches = {"stop_gradient": True, "predictor": True, "batch_norm": False}
    stopped = method(name, LossRecipe(1, 0, 0), **switches)
    through = method(name, LossRecipe(1, 0, 0), **{**switches, "stop_gradient": False})
    x_a, x_b = views()
    found, whole = gradient(stopped, x_a, x_b), gradient(through, x_a, x_b)
    # Central differences in θ with the targets held at the unmoved θ.
    frozen = method(name, LossRecipe(1, 0, 0), **switches)
    weight, step = stopped.backbone.map.weight, 1e-6
    assert isinstance(weight, Tensor)
    numeric = np.empty(weight.shape)
    for index in np.ndindex(*weight.shape):
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[index] += sign * step
                sides.append(loss_against(name, stopped, frozen, x_a, x_b))
                weight[index] -= sign * step
        numeric[index] = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose(found, numeric, rtol=1e-4, atol=1e-8)
    assert np.abs(found - whole).max() > 1e-3


def gradient(chosen: Method, x_a: Tensor, x_b: Tensor) -> Array:
    chosen(x_a, x_b).terms["loss"].backward()
    weight = chosen.backbone.map.weight
    assert isinstance(weight, Tensor) and weight.grad is not None
    return array(weight.grad)


def loss_against(name: str, moved: Method, frozen: Method, x_a: Tensor, x_b: Tensor) -> float:
    p_a, p_b = (numpy_head(moved.predictor, projections(moved, x)) for x in (x_a, x_b))
    t_a, t_b = projections(frozen, x_a), projections(frozen, x_b)
    if name == "VICReg":
        return float(((p_a - t_b) ** 2).mean() + ((p_b - t_a) ** 2).mean()) / 2
    mean = float((cosines(p_a, t_b) + cosines(p_b, t_a)).mean()) / 2
    return 2 - 2 * mean if name == "BYOL" else -mean


def test_a_momentum_encoder_gets_no_gradient_and_follows_by_the_formula() -> None:
    byol = method("BYOL", LossRecipe(1, 0, 0), momentum_encoder=True, **ASYMMETRIC)
    target = byol.target.network  # type: ignore[union-attr]
    assert isinstance(target, nn.Sequential)
    byol(*views()).terms["loss"].backward()
    assert all(not p.requires_grad and p.grad is None for p in target.parameters())
    before = [array(p).copy() for p in target.parameters()]
    with torch.no_grad():
        for p in [*byol.backbone.parameters(), *byol.projector.parameters()]:
            p.add_(1.0)
    byol.after_step(25, 100)
    tau = 1 - 0.01 * (math.cos(math.pi / 4) + 1) / 2
    for old, new in zip(before, target.parameters(), strict=True):
        np.testing.assert_allclose(array(new), tau * old + (1 - tau) * (old + 1), rtol=1e-12)


def test_the_momentum_encoder_and_not_the_trained_branch_makes_the_targets() -> None:
    byol = method("BYOL", LossRecipe(1, 0, 0), momentum_encoder=True, **ASYMMETRIC)
    x_a, x_b = views()
    t_a, t_b = projections(byol, x_a), projections(byol, x_b)
    with torch.no_grad():
        byol.backbone.map.weight.mul_(-0.5)
    q_a, q_b = (numpy_head(byol.predictor, projections(byol, x)) for x in (x_a, x_b))
    expected = ((2 - 2 * cosines(q_a, t_b)) + (2 - 2 * cosines(q_b, t_a))).mean() / 2
    assert byol(x_a, x_b).terms["loss"].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", list(METHODS))
def test_without_bn_no_head_has_any(name: str) -> None:
    switches = {} if name == "Barlow Twins" else ASYMMETRIC
    bare = method(name, batch_norm=False, **switches)
    heads = [*bare.projector.modules(), *bare.predictor.modules()]
    assert not any(isinstance(module, nn.BatchNorm1d) for module in heads)
    with_norm = method(name, **switches)
    assert any(isinstance(module, nn.BatchNorm1d) for module in with_norm.projector.modules())


def test_heads_have_the_published_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trunk, "out_features", 2048)
    with torch.device("meta"):
        byol, simsiam, barlow = (
            build(RECIPES[name])
            for name in ("table3-byol-me-sg-pr-bn-no-reg", "table3-simsiam-sg-pr-bn-no-reg", "barlow-twins")
        )
    # BYOL, appendix C.1: 2048-4096-256 and 256-4096-256; SimSiam, appendix: 2048³ and 2048-512-2048.
    assert sizes(byol.projector) == [(2048, 4096), (4096, 256)] and sizes(byol.predictor) == [(256, 4096), (4096, 256)]
    assert sizes(simsiam.projector) == [(2048, 2048)] * 3 and sizes(simsiam.predictor) == [(2048, 512), (512, 2048)]
    assert sizes(barlow.projector) == [(2048, 8192), (8192, 8192), (8192, 8192)]
    assert all(layer.bias is None for layer in barlow.projector if isinstance(layer, nn.Linear))  # type: ignore[union-attr]


def sizes(head: nn.Module) -> list[tuple[int, int]]:
    return [(layer.in_features, layer.out_features) for layer in head.modules() if isinstance(layer, nn.Linear)]


def test_every_method_is_where_its_name_says() -> None:
    for name in METHODS:
        assert isinstance(method(name), Method)


class MadeUp(Method):
    """A method that this suite does not know."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.projector = self.predictor = nn.Identity()


def test_a_further_method_is_one_line_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "made_up", ModuleType("made_up"))
    monkeypatch.setattr("made_up.MadeUp", MadeUp, raising=False)
    monkeypatch.setitem(METHODS, "Made up", "made_up:MadeUp")
    assert isinstance(build(Recipe(method="Made up")), MadeUp)


def test_impossible_combinations_are_refused() -> None:
    with pytest.raises(Refusal, match=r"momentum_encoder is True and branches\.stop_gradient False"):
        BranchRecipe(momentum_encoder=True)
    with pytest.raises(Refusal, match="without momentum encoder, stop-gradient and predictor for Barlow Twins"):
        Recipe(method="Barlow Twins", branches=BranchRecipe(predictor=True))
    with pytest.raises(Refusal, match=r"branches\.output is unit"):
        Recipe(method="BYOL", branches=BranchRecipe(output="unit"))
    with pytest.raises(Refusal, match="method is DINO; it must be one of VICReg, BYOL, SimSiam, Barlow Twins"):
        replace(RECIPES["paper"], method="DINO")
