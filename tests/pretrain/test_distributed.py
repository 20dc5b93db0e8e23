"""Several ranks compute what one rank computes on the same global batch: loss, gradients, batch norm, three steps."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent


def helper(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# A bias in front of a batch norm has gradient zero; what either side shows there is rounding.
NOISE = ("projector.0.bias", "projector.3.bias")


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("ranks", "width", "samples", "dtype", "tolerance", "smooth", "recompute"),
    [
        pytest.param(2, 24, 13, "float64", 1e-10, False, True, id="2 ranks recomputing, n < d, uneven"),
        pytest.param(4, 8, 14, "float64", 1e-10, False, False, id="4 ranks, n > d, uneven"),
        pytest.param(2, 8, 32, "float32", 1e-5, True, False, id="2 ranks, n > d, smooth", marks=pytest.mark.slow),
        pytest.param(4, 24, 23, "float32", 1e-5, True, False, id="4 ranks, n < d, smooth", marks=pytest.mark.slow),
        pytest.param(4, 24, 23, "float32", 1e-5, False, False, id="4 ranks, first step", marks=pytest.mark.slow),
    ],
)
def test_ranks_equal_one_rank_on_the_same_global_batch(
    ranks: int, width: int, samples: int, dtype: str, tolerance: float, smooth: bool, recompute: bool, tmp_path: Path
) -> None:
    """In float32 with ReLU the first step alone is compared: later ones may fall on another side of a kink."""
    arguments = [str(tmp_path), str(width), str(samples), dtype, str(smooth), str(recompute)]
    statuses = helper("ranks").run([str(HERE / "rank_worker.py"), *arguments], ranks)
    assert statuses == [0] * ranks
    module = helper("rank_worker")
    alone = module.distributed.World(0, 1, torch.device("cpu"))
    expected = module.three_steps(width, samples, getattr(torch, dtype), alone, smooth=smooth)
    if dtype == "float32" and not smooth:
        expected = {name: tensor for name, tensor in expected.items() if name.startswith(("0/", "gradient/"))}
    assert len(expected) > 40
    for rank in range(ranks):
        found = torch.load(tmp_path / f"rank{rank}.pt", weights_only=True)
        assert found.keys() >= expected.keys()
        for name, tensor in expected.items():
            difference = float((found[name].double() - tensor.double()).norm())
            scale = 1.0 if name.partition("/")[2] in NOISE else float(tensor.double().norm())
            assert difference <= tolerance * scale + 1e-14, (rank, name, difference)
