"""Linear classifiers trained side by side on the same features, one for each learning rate."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evaluate.architecture import FEATURE_DIMENSION
from evaluate.knn import ranked_classes


class Heads(nn.Module):
    """`count` linear heads that start from the same weights: N(0, `std`) and bias 0. They never see one another."""

    def __init__(self, count: int, classes: int, *, std: float, seed: int) -> None:
        super().__init__()
        weight = torch.empty(classes, FEATURE_DIMENSION).normal_(
            0.0, std, generator=torch.Generator().manual_seed(seed)
        )
        self.heads = nn.ModuleList(nn.Linear(FEATURE_DIMENSION, classes) for _ in range(count))
        for head in self.heads:
            head.load_state_dict({"weight": weight, "bias": torch.zeros(classes)})

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, 2048) to logits (heads, n, classes)."""
        return torch.stack([head(features) for head in self.heads])

    def loss_sums(self, features: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each head, summed over the images: (heads,). Their gradients do not mix."""
        logits = self(features)
        return torch.stack([F.cross_entropy(one, labels, reduction="sum") for one in logits])

    @torch.no_grad()
    def ranked(self, features: Tensor, count: int = 5) -> Tensor:
        """Each head's best classes (heads, n, count), best first; equal logits by rising class index."""
        return torch.stack([ranked_classes(one, count) for one in self(features)])
