"""The baseline computes what the paper says: it must be slow, not wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from benchmarks import textbook
from benchmarks.photographs import SIZE, write_photographs

# Measured once from facebookresearch/vicreg, commit 4e12602, in float64: seed, n, d, scale, noise of the two views;
# the invariance term, the sum of halved variance terms, the sum of covariance terms.
GOLDEN = [
    (0, 8, 16, 1.0, 0.5, 0.28476280127774134, 0.09950453283395042, 5.479874650495114),
    (1, 64, 128, 0.3, 0.1, 0.0008885085262512121, 0.7012854686978087, 0.03266480437025037),
]


@pytest.mark.parametrize(("seed", "n", "d", "scale", "noise", "invariance", "halved_variance", "covariance"), GOLDEN)
def test_the_loss_is_the_released_codes_with_the_variance_summed_not_halved(
    seed: int, n: int, d: int, scale: float, noise: float, invariance: float, halved_variance: float, covariance: float
) -> None:
    random = np.random.default_rng(seed)
    a = random.standard_normal((n, d))
    z_b = torch.from_numpy(scale * (a + noise * random.standard_normal((n, d))))
    expected = 25 * invariance + 25 * 2 * halved_variance + covariance
    assert float(textbook.loss(torch.from_numpy(scale * a), z_b)) == pytest.approx(expected, rel=1e-10)


def test_the_off_diagonal_of_a_small_matrix_by_hand() -> None:
    assert textbook.off_diagonal(torch.arange(9.0).view(3, 3)).tolist() == [1, 2, 3, 5, 6, 7]


def test_lars_by_hand_over_two_steps() -> None:
    weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0]], dtype=torch.float64))  # norm 5
    bias = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = textbook.LARS([weight, bias], lr=0.5)
    optimizer.param_groups[0]["weight_decay"] = 0.0
    for _ in range(2):
        weight.grad, bias.grad = torch.tensor([[0.0, 2.0]], dtype=torch.float64), torch.tensor([2.0]).double()
        optimizer.step()
    # First: update 0.001 * 5 / 2 * (0, 2) = (0, 0.005); then the norm is that of (3, 4 - 0.0025), velocity 0.9 of it.
    second = 0.9 * 0.005 + 0.001 * (9 + 3.9975**2) ** 0.5
    assert weight.detach().tolist()[0] == pytest.approx([3.0, 3.9975 - 0.5 * second], rel=1e-12)
    assert bias.item() == pytest.approx(1 - 0.5 * 2 - 0.5 * 3.8, rel=1e-12)


def test_the_transforms_are_those_of_appendix_b2_in_its_order() -> None:
    steps = textbook.transform(textbook.SETTINGS["paper"][0]).transforms
    kinds = [transforms.RandomResizedCrop, transforms.RandomHorizontalFlip, transforms.RandomApply,
             transforms.RandomGrayscale, transforms.RandomApply, transforms.RandomSolarize, transforms.ToTensor,
             transforms.Normalize]  # fmt: skip
    assert [type(step) for step in steps] == kinds
    assert (steps[0].scale, steps[0].size) == ((0.2, 1.0), (224, 224))
    assert [steps[index].p for index in (1, 2, 3, 4, 5)] == [0.5, 0.8, 0.2, 0.5, 0.1]
    assert steps[2].transforms[0].hue == (-0.1, 0.1)
    first, second = (textbook.transform(view).transforms for view in textbook.SETTINGS["official"])
    assert [first[4].p, first[5].p, second[4].p, second[5].p] == [1.0, 0.0, 0.1, 0.2]
    assert first[0].scale == (0.08, 1.0)


def test_photographs_have_the_size_the_rows_name_and_repeat_exactly(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, second = (write_photographs(folder, 6) for folder in (tmp_path, tmp_path / "again"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for path in first:
        with Image.open(path) as image:
            assert image.size in (SIZE, SIZE[::-1])
    assert len({path.read_bytes() for path in first}) == 6
    assert all(20_000 < path.stat().st_size < 120_000 for path in first)


def test_the_loader_gives_both_views_as_floats(tmp_path: Path) -> None:
    paths = write_photographs(tmp_path, 4)
    x_a, x_b = next(iter(textbook.loader(paths, batch_size=2, workers=0)))
    assert x_a.shape == x_b.shape == (2, 3, 224, 224)
    assert x_a.dtype == torch.float32
    assert not torch.equal(x_a, x_b)
