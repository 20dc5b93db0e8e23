"""What the evaluation tests share: one seeded ResNet-50, and small pieces of it where the real one is not needed."""

import os
import sys
from pathlib import Path

import pytest
import torch

from evaluate.trunk import new_trunk

# pytest imports test modules by path; helper modules beside them are found through the search path.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def resnet50_state() -> dict[str, torch.Tensor]:
    """318 entries of a ResNet-50 whose statistics and scales look trained. Shared: never write to its tensors."""
    generator = torch.Generator().manual_seed(5)
    state = {}
    for name, tensor in new_trunk().state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1_252_000)
        elif name.endswith("running_var"):
            state[name] = torch.rand(tensor.shape, generator=generator) + 0.5
        elif tensor.ndim == 1:
            state[name] = torch.randn(tensor.shape, generator=generator) * 0.1 + name.endswith("weight")
        else:
            state[name] = torch.randn(tensor.shape, generator=generator) * 0.02
    return state


@pytest.fixture(scope="session")
def backbone_file(resnet50_state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights as a flat backbone file."""
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    torch.save(resnet50_state, path)
    return path


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known weights and fingerprints of the user who runs the tests play no part."""
    monkeypatch.setenv("VICREG_WEIGHTS", str(tmp_path / "known-weights"))
    assert os.environ["VICREG_WEIGHTS"]
