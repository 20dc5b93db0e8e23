"""The linear probe's training step with eight learning rates at once against one."""

import torch
from torch import nn

from benchmarks.harness import Outcome, in_turns, share
from evaluate.heads import Heads
from evaluate.trunk import loaded_trunk, new_trunk, trunk_features

COUNT = 8
CLASSES = 1000


def heads() -> Outcome:
    """Batches of 32 images at 224 px, 1000 classes, float32 trunk."""
    return measure(32, size=224, rounds=5)


def measure(images: int, *, size: int, rounds: int, classes: int = CLASSES) -> Outcome:
    """Steps of the probe: frozen trunk forward, then each head's loss, gradient and SGD."""
    torch.manual_seed(0)
    trunk = loaded_trunk(new_trunk().state_dict(), torch.device("cpu"))
    many, one = Step(trunk, COUNT, classes, images, size), Step(trunk, 1, classes, images, size)
    return share(*in_turns(many, one, rounds=rounds), images=images, classes=classes, heads=COUNT)


class Step:
    """One training step of `count` heads over a frozen trunk, as `evaluate.probe` takes it."""

    def __init__(self, trunk: nn.Module, count: int, classes: int, images: int, size: int) -> None:
        self.trunk = trunk
        self.heads = Heads(count, classes, std=0.01, seed=0)
        groups = [
            {"params": list(head.parameters()), "lr": 0.01 * 2**index} for index, head in enumerate(self.heads.heads)
        ]
        self.optimizer = torch.optim.SGD(groups, lr=0.0, momentum=0.9, weight_decay=1e-6)
        self.images, self.labels = torch.randn(images, 3, size, size), torch.randint(classes, (images,))

    def __call__(self) -> None:
        """Take the step."""
        self.optimizer.zero_grad(set_to_none=False)
        features = trunk_features(self.trunk, self.images, "float32")
        (self.heads.loss_sums(features, self.labels) / len(self.images)).sum().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
