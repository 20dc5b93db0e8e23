"""LARS against numbers measured from the released code, in float64."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain import lars
from pretrain.lars import LARS

GOLDEN = json.loads((Path(__file__).parent / "golden" / "lars.json").read_text())


@pytest.mark.parametrize(("in_pieces", "piece"), [((), 0), (("cpu",), 2**18), (("cpu",), 5)])
def test_five_steps_are_those_of_the_released_code(
    in_pieces: tuple[str, ...], piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lars, "IN_PIECES", in_pieces)
    monkeypatch.setattr(lars, "PIECE", piece)
    random = np.random.default_rng(7)
    starts = [random.standard_normal(shape) * 0.1 for shape in GOLDEN["shapes"]]
    starts[-1] *= 0
    parameters = [torch.tensor(start, requires_grad=True) for start in starts]
    optimizer = LARS(parameters, lr=0.0, weight_decay=0.01)
    for lr, expected in zip(GOLDEN["lrs"], GOLDEN["values"], strict=True):
        for parameter in parameters:
            parameter.grad = torch.tensor(random.standard_normal(tuple(parameter.shape)))
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        for parameter, numbers in zip(parameters, expected, strict=True):
            found = [parameter.sum().item(), parameter.norm().item(), parameter.flatten()[0].item()]
            assert found == pytest.approx(numbers, rel=1e-12, abs=1e-12)


def test_one_dimensional_tensors_get_neither_decay_nor_scaling() -> None:
    bias = torch.full((3,), 5.0, requires_grad=True)
    bias.grad = torch.ones(3)
    LARS([bias], lr=0.5, weight_decay=0.1).step()
    assert bias.tolist() == [4.5, 4.5, 4.5]


def test_pieces_of_float32_in_any_layout_step_like_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(24, 6, 3, 3, generator=random).contiguous(memory_format=torch.channels_last)
    sides = []
    for in_pieces in ((), ("cpu",)):
        monkeypatch.setattr(lars, "IN_PIECES", in_pieces)
        monkeypatch.setattr(lars, "PIECE", 200)
        mine = torch.nn.Parameter(weight.clone())
        optimizer = LARS([mine], lr=0.5, weight_decay=0.1)
        for step in range(3):
            mine.grad = torch.randn(24, 6, 3, 3, generator=torch.Generator().manual_seed(step))
            optimizer.step()
        sides.append(mine.detach())
    torch.testing.assert_close(sides[0], sides[1], rtol=1e-6, atol=1e-6)
    assert not torch.equal(sides[0], weight)


def test_a_zero_gradient_leaves_only_the_decay() -> None:
    # g = wd w, so the ratio is eta / wd and the step lr eta w: 1 - 0.5 * 0.001 of the weight is left.
    weight = torch.full((2, 2), 4.0, dtype=torch.float64, requires_grad=True)
    weight.grad = torch.zeros(2, 2, dtype=torch.float64)
    LARS([weight], lr=0.5, weight_decay=0.1).step()
    assert weight.flatten().tolist() == pytest.approx([4.0 * (1 - 0.5 * 0.001)] * 4, rel=1e-12)


def test_a_parameter_without_gradient_stays() -> None:
    weight = torch.ones(2, 2, requires_grad=True)
    LARS([weight], lr=1.0).step()
    assert weight.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_nonsense_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"momentum 1\.5"):
        LARS([torch.ones(1, requires_grad=True)], lr=0.1, momentum=1.5)
