"""The monitor's 20-NN against an independent implementation's numbers, and that it leaves the training alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain import online_knn
from pretrain.resnet import ResNet

GOLDEN = json.loads((Path(__file__).parent / "golden" / "knn.json").read_text())


def test_accuracy_is_that_of_dinos_classifier() -> None:
    # The inputs as the golden file describes them.
    random = np.random.default_rng(11)
    prototypes = random.standard_normal((10, 32))
    labels, asked = random.integers(0, 10, 2000), random.integers(0, 10, 500)
    bank = (prototypes[labels] + 1.9 * random.standard_normal((2000, 32))).astype(np.float32)
    queries = (prototypes[asked] + 1.9 * random.standard_normal((500, 32))).astype(np.float32)
    votes = online_knn.classify(torch.tensor(bank), torch.tensor(labels), torch.tensor(queries), 10)
    row = next(row for row in GOLDEN["rows"] if (row["k"], row["temperature"]) == (20, 0.07))
    assert 100 * float((votes.numpy() == asked).mean()) == pytest.approx(row["top1"], abs=0.2)


def test_measuring_moves_neither_statistics_nor_mode_nor_random_state(images: Path) -> None:
    backbone = ResNet((1, 1, 1, 1)).train()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    random_state = torch.get_rng_state()
    accuracy = online_knn.measure(backbone, images, size=32, device=torch.device("cpu"), workers=0)
    assert 0 <= accuracy <= 100
    assert backbone.training and torch.equal(random_state, torch.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.state_dict().items())


def test_the_vote_is_in_full_precision_inside_an_autocast() -> None:
    bank, queries = torch.randn(2, 40, 8, generator=torch.Generator().manual_seed(0)).unbind()
    labels = torch.arange(40) % 4
    expected = online_knn.classify(bank, labels, queries, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(online_knn.classify(bank, labels, queries, 4), expected)
