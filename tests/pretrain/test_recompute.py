"""Recomputing blocks saves memory and changes no number: gradients, running statistics and names are the same bits."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pretrain.recompute import recompute_blocks
from pretrain.resnet import ResNet


@pytest.fixture
def pair() -> tuple[ResNet, ResNet]:
    """The same small network twice, the second one recomputing its blocks."""
    torch.manual_seed(0)
    plain = ResNet((2, 1, 1, 1), zero_init_residual=False)
    recomputing = copy.deepcopy(plain)
    recompute_blocks(recomputing)
    return plain, recomputing


def two_views(network: ResNet, views: tuple[Tensor, Tensor], dtype: torch.dtype) -> Tensor:
    """A loss over two forward passes, as in pretraining: statistics of both views pass through the same buffers."""
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        y_a, y_b = (network(view) for view in views)
    loss = (y_a.float() - y_b.float()).square().mean() + y_a.float().std(0).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loss_gradients_and_running_statistics_are_the_same_bits(
    pair: tuple[ResNet, ResNet], dtype: torch.dtype
) -> None:
    views = (torch.randn(4, 3, 64, 64), torch.randn(4, 3, 64, 64))
    losses = [two_views(network, views, dtype) for network in pair]
    assert torch.equal(*losses)
    plain, recomputing = (dict(network.named_parameters()) for network in pair)
    assert plain.keys() == recomputing.keys()
    for name, weight in plain.items():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name
        assert torch.equal(weight.grad, recomputing[name].grad), name  # type: ignore[arg-type]
    for (name, one), (_, other) in zip(pair[0].named_buffers(), pair[1].named_buffers(), strict=True):
        assert torch.equal(one, other), name
    assert pair[1].state_dict()["layer1.0.bn1.num_batches_tracked"] == 2  # one for each view


def test_less_is_kept_between_the_passes(pair: tuple[ResNet, ResNet]) -> None:
    def kept_bytes(forward: Callable[[Tensor], Tensor]) -> int:
        found: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            forward(torch.randn(2, 3, 64, 64, requires_grad=True))
        return sum(found.values())

    weights = sum(weight.numel() * 4 for weight in pair[0].parameters())
    plain, recomputing = (kept_bytes(network) for network in pair)
    assert recomputing < 0.5 * (plain - weights)
