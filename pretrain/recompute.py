"""Activation checkpointing (Chen et al., 2016): a residual block keeps its input alone, and runs again for backward.

It costs one more forward pass of the backbone and changes nothing that is computed, batch norm's running statistics
included: those are taken from the first pass.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from pretrain.resnet import Bottleneck, ResNet


def recompute_blocks(backbone: ResNet) -> None:
    """Have every residual block of `backbone` recomputed in the backward pass; names and weights stay as they are."""
    for block in backbone.modules():
        if isinstance(block, Bottleneck):
            block.forward = functools.partial(_recomputed, block, block.forward)  # type: ignore[method-assign]


def _recomputed(block: Bottleneck, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    def contexts() -> tuple[Any, Any]:
        return contextlib.nullcontext(), _statistics_kept(block)

    # The blocks draw no random numbers, so none have to be drawn again.
    found = checkpoint(forward, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    assert isinstance(found, Tensor)
    return found


@contextlib.contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Batch norm's buffers come out as they went in: the same images must not be counted twice."""
    buffers = [buffer for module in block.modules() if isinstance(module, _BatchNorm) for buffer in module.buffers()]
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        # The second pass is left by an exception once all that backward needs is there.
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
