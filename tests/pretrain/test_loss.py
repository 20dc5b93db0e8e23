"""Loss terms and gradients against numbers measured from the released code, in both forms of the covariance term."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pretrain import loss as loss_module
from pretrain.loss import VICRegLoss, covariance, invariance, variance
from pretrain.settings import LossRecipe

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden" / "vicreg_loss.json").read_text())["cases"]
RELEASED = LossRecipe(variance_halved=True, covariance_divisor="global-batch-size")
TERMS = {
    "invariance": "invariance",
    "variance": "variance_halved_sum",
    "covariance": "covariance_sum",
    "loss": "total_25_25_1",
}


def embeddings(case: dict[str, Any]) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(case["seed"])
    a = random.standard_normal((case["n"], case["d"]))
    b = a + case["noise"] * random.standard_normal(a.shape)
    return tuple(torch.tensor(case["scale"] * z, requires_grad=True) for z in (a, b))  # type: ignore[return-value]


@pytest.mark.parametrize("gram", [True, False], ids=["n x n", "d x d"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"n={case['n']} d={case['d']}")
def test_terms_and_gradients_are_those_of_the_released_code(
    case: dict[str, Any], gram: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_module, "gram_is_smaller", lambda count, dimensions: gram)
    z_a, z_b = embeddings(case)
    terms = VICRegLoss(RELEASED, case["n"])(z_a, z_b)
    for ours, golden in TERMS.items():
        grad_a, grad_b = torch.autograd.grad(terms[ours], (z_a, z_b), retain_graph=True)
        assert terms[ours].item() == pytest.approx(case[golden], rel=1e-9)
        assert grad_a.norm().item() == pytest.approx(case[f"{golden}_grad_norm_a"], rel=1e-9)
        assert grad_b.norm().item() == pytest.approx(case[f"{golden}_grad_norm_b"], rel=1e-9)
        assert grad_a[0, :3].tolist() == pytest.approx(case[f"{golden}_grad_a_first3"], rel=1e-9)


def slow_covariance(z: Tensor) -> Tensor:
    """Eq. 3 and 4 written out, entry by entry."""
    n, d = z.shape
    c = [[sum((z[i, j] - z[:, j].mean()) * (z[i, k] - z[:, k].mean()) for i in range(n)) / (n - 1)
          for k in range(d)] for j in range(d)]  # fmt: skip
    return sum((c[j][k] ** 2 for j in range(d) for k in range(d) if j != k), torch.zeros((), dtype=z.dtype)) / d


@pytest.mark.parametrize(("n", "d"), [(3, 5), (4, 4), (6, 3)])
def test_covariance_is_equation_4_for_n_below_at_and_above_d(n: int, d: int) -> None:
    z = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(n)).requires_grad_()
    expected = slow_covariance(z)
    assert covariance(z).item() == pytest.approx(expected.item(), rel=1e-12)
    ours, theirs = torch.autograd.grad(covariance(z), z)[0], torch.autograd.grad(expected, z)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-14)


def test_gradients_pass_finite_differences() -> None:
    for shape in ((4, 7), (7, 4)):
        z = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        assert torch.autograd.gradcheck(covariance, z)
        assert torch.autograd.gradcheck(lambda x: variance(x, gamma=2.0), z)
        assert torch.autograd.gradcheck(lambda x: invariance(x, torch.ones_like(x)), z)


def test_variance_of_one_view_by_hand() -> None:
    # Two samples at +-1/2: unbiased variance 1/2. The constant dimension has none, so its hinge is 1 - sqrt(1e-4).
    z = torch.tensor([[0.5, 3.0], [-0.5, 3.0]], dtype=torch.float64)
    expected = ((1 - (0.5 + 1e-4) ** 0.5) + (1 - 0.01)) / 2
    assert variance(z).item() == pytest.approx(expected, rel=1e-12)


def test_the_paper_sums_the_two_views_variance_and_the_code_halves_it() -> None:
    z_a, z_b = (torch.randn(8, 16, generator=torch.Generator().manual_seed(seed)) * 0.3 for seed in (0, 1))
    summed = VICRegLoss(LossRecipe())(z_a, z_b)["variance"]
    halved = VICRegLoss(LossRecipe(variance_halved=True))(z_a, z_b)["variance"]
    assert summed.item() == pytest.approx(2 * halved.item(), rel=1e-6)
    assert summed.item() == pytest.approx((variance(z_a) + variance(z_b)).item(), rel=1e-6)


def test_a_short_batch_is_divided_by_its_own_size_in_the_paper_and_by_the_configured_one_in_the_code() -> None:
    z = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    own = VICRegLoss(LossRecipe(), 64)(z, z)["covariance"]
    fixed = VICRegLoss(LossRecipe(covariance_divisor="global-batch-size"), 64)(z, z)["covariance"]
    assert fixed.item() == pytest.approx(own.item() * (4 / 63) ** 2, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_loss_is_float32_under_autocast(dtype: torch.dtype) -> None:
    z_a, z_b = (300 * torch.randn(16, 32, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    half_a, half_b = z_a.to(dtype), z_b.to(dtype)
    expected = VICRegLoss()(half_a.double(), half_b.double())
    with torch.autocast("cpu", dtype):
        terms = VICRegLoss()(half_a, half_b)
    for name, value in terms.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(expected[name].item(), rel=1e-5)


def test_one_sample_has_no_variance() -> None:
    with pytest.raises(ValueError, match="at least 2 samples over all ranks, got 1"):
        variance(torch.zeros(1, 4))


def test_views_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        invariance(torch.zeros(2, 4), torch.zeros(2, 5))
