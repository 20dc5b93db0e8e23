"""What the tests of the engines share: a ResNet-50 whose every tensor is distinctive, so that a lost one shows."""

import pytest
import torch

from evaluate.checkpoint import Backbone
from transfer.engines import detectron2_compat


@pytest.fixture(scope="module", autouse=True)
def detectron2_is_ready(request: pytest.FixtureRequest) -> None:
    """Whichever test of a worker is its first must not meet the warnings that Detectron2's first import raises."""
    if "detectron2" in request.module.__name__:
        detectron2_compat.prepare()


@pytest.fixture(scope="session")
def backbone() -> Backbone:
    """torchvision's ResNet-50 with random weights and random statistics; never write to it."""
    from torchvision.models import resnet50

    generator = torch.Generator().manual_seed(50)
    state = {name: tensor for name, tensor in resnet50().state_dict().items() if not name.startswith("fc.")}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1000)
        elif tensor.ndim == 1:
            # Near 1 for scales and variances, near 0 for the rest: features keep a sensible size.
            centre = 1.0 if name.endswith(("weight", "running_var")) else 0.0
            state[name] = centre + 0.1 * torch.rand(tensor.shape, generator=generator)
        else:
            fan = tensor[0].numel()
            state[name] = torch.randn(tensor.shape, generator=generator) / fan**0.5
    return Backbone(state, "a test's random weights", "0" * 64)
