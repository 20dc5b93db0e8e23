"""Batch norm over all ranks on CPUs, where torch's own SyncBatchNorm does not run."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F


class GlooBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm whose training statistics are those of all ranks' samples together, however unevenly spread.

    Same parameters, buffers and results as torch's batch norm on the whole batch; statistics in float32 or better.
    """

    @classmethod
    def convert(cls, module: nn.Module) -> nn.Module:
        """`module` with every batch norm in it replaced; parameters and buffers are the same objects as before."""
        for name, child in list(module.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, cls._taking_over(child))
            else:
                cls.convert(child)
        return module

    @classmethod
    def _taking_over(cls, old: nn.modules.batchnorm._BatchNorm) -> "GlooBatchNorm":
        assert old.momentum is not None, "a cumulative average has no exact form over ranks here"
        new = cls(old.num_features, old.eps, old.momentum, old.affine, old.track_running_stats)
        new.weight, new.bias = old.weight, old.bias
        new.running_mean, new.running_var = old.running_mean, old.running_var
        new.num_batches_tracked = old.num_batches_tracked
        return new.train(old.training)

    def forward(self, x: Tensor) -> Tensor:
        """x: (n_r, c) or (n_r, c, h, w), this rank's samples."""
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        out, mean, variance, count = _NormaliseOverRanks.apply(x, self.weight, self.bias, self.eps)
        self._remember(mean, variance, int(count))
        return out  # type: ignore[no-any-return]

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        unbiased = variance * (count / (count - 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        assert input.dim() in (2, 4), input.shape


class _NormaliseOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide = x if x.dtype == torch.float64 else x.float()
        mean, variance, count = _statistics_over_ranks(wide)
        scale = (variance + eps).rsqrt()
        normal = (wide - _per_channel(mean, x)) * _per_channel(scale, x)
        out = normal if weight is None else normal * _per_channel(weight, x) + _per_channel(bias, x)
        ctx.save_for_backward(normal, weight, scale)
        ctx.count = count
        boxed = torch.tensor(count)
        ctx.mark_non_differentiable(mean, variance, boxed)
        return out.to(x.dtype), mean, variance, boxed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        normal, weight, scale = ctx.saved_tensors
        upstream = gradients[0].to(normal.dtype)
        own = torch.stack((_channel_sum(upstream), _channel_sum(upstream * normal)))  # (2, c)
        total = own.clone()
        dist.all_reduce(total)
        by_bias, by_weight = total / ctx.count
        inner = upstream - _per_channel(by_bias, normal) - normal * _per_channel(by_weight, normal)
        factor = scale if weight is None else scale * weight
        into = (inner * _per_channel(factor, normal)).to(gradients[0].dtype)
        # Parameter gradients are this rank's part; DistributedDataParallel adds the others'.
        return into, None if weight is None else own[1], None if weight is None else own[0], None


def _statistics_over_ranks(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean (c,), biased variance (c,) and count over all ranks, combined from each rank's own without cancellation."""
    own_mean = x.mean(_others(x))
    own_variance = (x - _per_channel(own_mean, x)).square().mean(_others(x))
    packed = torch.cat((own_mean, own_variance, own_mean.new_tensor([x.numel() // x.shape[1]])))
    received = [torch.empty_like(packed) for _ in range(dist.get_world_size())]
    dist.all_gather(received, packed)
    table = torch.stack(received)  # (ranks, 2 c + 1)
    channels = x.shape[1]
    means, variances, counts = table[:, :channels], table[:, channels:-1], table[:, -1:]
    count = counts.sum()
    mean = (counts * means).sum(0) / count
    variance = (counts * (variances + (means - mean).square())).sum(0) / count
    return mean, variance, int(count)


def _others(x: Tensor) -> list[int]:
    return [dimension for dimension in range(x.dim()) if dimension != 1]


def _channel_sum(x: Tensor) -> Tensor:
    return x.sum(_others(x))


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    return values.view(1, -1, *[1] * (x.dim() - 2))
