"""Each recipe's optimizer, and which tensors follow which learning rate."""

import torch
from torch import nn

from pretrain.lars import LARS
from pretrain.methods import Method
from pretrain.settings import Recipe


def build_optimizer(recipe: Recipe, method: Method) -> torch.optim.Optimizer:
    """LARS (BYOL, Barlow Twins, VICReg), or SGD (SimSiam), whose weight decay is on every tensor as in its code.

    Every group carries "share", its rate's part of the scheduled one, or None for the peak rate throughout.
    """
    constant: list[nn.Parameter] = []
    if recipe.branches.predictor_lr == "constant":
        constant = list(method.predictor.parameters())
    apart = {id(parameter) for parameter in constant}
    scheduled = [p for p in method.parameters() if p.requires_grad and id(p) not in apart]
    groups = [{"params": params, "share": share} for params, share in (*_by_rate(recipe, scheduled), (constant, None))]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    return LARS(groups, 0.0, recipe.momentum, recipe.weight_decay, recipe.trust_coefficient)


def set_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, lr: float) -> None:
    """Give every group its rate of a step whose scheduled rate is `lr`."""
    for group in optimizer.param_groups:
        group["lr"] = recipe.peak_lr if group["share"] is None else lr * group["share"]


def _by_rate(recipe: Recipe, parameters: list[nn.Parameter]) -> list[tuple[list[nn.Parameter], float | None]]:
    if recipe.base_lr_vectors is None:
        return [(parameters, 1.0)]
    weights = [parameter for parameter in parameters if parameter.ndim > 1]
    vectors = [parameter for parameter in parameters if parameter.ndim == 1]
    return [(weights, 1.0), (vectors, recipe.base_lr_vectors / recipe.base_lr)]
