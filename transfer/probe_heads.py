"""Linear classifiers on maps of a frozen ResNet-50, one for each head of the protocol, as VISSL builds them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from transfer.protocols import Head


class LinearHead(nn.Module):
    """Average pool, batch norm over the pooled map, one linear layer: (n, channels, h, w) -> (n, classes).

    VISSL calls it eval_mlp; without its batch norm the paper's learning rates are far too low for features whose
    scale no loss has fixed.
    """

    def __init__(self, head: Head, image_size: int, class_count: int) -> None:
        super().__init__()
        self.pool = pool_of(head)
        self.norm = nn.BatchNorm2d(head.channels)
        self.linear = nn.Linear(head.feature_count(image_size), class_count)

    def forward(self, feature_map: Tensor) -> Tensor:
        """Scores of each class (n, classes)."""
        scores: Tensor = self.linear(self.norm(self.pool(feature_map)).flatten(1))
        return scores


class PooledTrunk(nn.Module):
    """A frozen ResNet-50 that gives one pooled, flattened map instead of its usual output: (n, 3, h, w) -> (n, d)."""

    def __init__(self, trunk: nn.Module, head: Head) -> None:
        super().__init__()
        self.trunk = trunk
        self.layer = head.layer
        self.pool = pool_of(head)

    def forward(self, images: Tensor) -> Tensor:
        """The features of normalised images, in the order of channels, rows, columns, as VISSL flattens them."""
        pooled: Tensor = self.pool(trunk_maps(self.trunk, images, [self.layer])[self.layer])
        return pooled.contiguous(memory_format=torch.contiguous_format).flatten(1)


def pool_of(head: Head) -> nn.Module:
    """The average pool before a head, or nothing."""
    return nn.AvgPool2d(head.kernel, head.stride, head.padding) if head.kernel else nn.Identity()


def new_heads(heads: Sequence[Head], image_size: int, class_count: int, seed: int) -> nn.ModuleDict:
    """One head for each layer, each drawn from the same `seed`, so that leaving one out changes no other."""
    built: dict[str, nn.Module] = {}
    for head in heads:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            built[head.layer] = LinearHead(head, image_size, class_count)
    return nn.ModuleDict(built)


def parameter_groups(heads: nn.ModuleDict, weight_decay: float) -> list[dict[str, object]]:
    """SGD's groups: weight decay on the linear layers, bias included, and none on the batch norms."""
    norms, linears = [], []
    for module in heads.modules():
        if isinstance(module, nn.BatchNorm2d):
            norms += list(module.parameters())
        elif isinstance(module, nn.Linear):
            linears += list(module.parameters())
    return [{"params": linears, "weight_decay": weight_decay}, {"params": norms, "weight_decay": 0.0}]


@torch.no_grad()
def trunk_maps(trunk: nn.Module, images: Tensor, layers: Sequence[str]) -> Mapping[str, Tensor]:
    """The named maps of a torchvision-named ResNet-50 for normalised images (n, 3, h, w), by VISSL's layer names.

    conv1 is the stem after its ReLU, before the max pool; res5avg is (n, 2048, 1, 1).
    """
    modules = dict(trunk.named_children())
    maps = {"conv1": torch.relu(modules["bn1"](modules["conv1"](images)))}
    current = nn.functional.max_pool2d(maps["conv1"], 3, stride=2, padding=1)
    for stage in (1, 2, 3, 4):
        current = modules[f"layer{stage}"](current)
        maps[f"res{stage + 1}"] = current
    maps["res5avg"] = current.mean(dim=(2, 3), keepdim=True)
    return {layer: maps[layer] for layer in layers}
