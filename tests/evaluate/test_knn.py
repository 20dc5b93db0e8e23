import numpy as np
import pytest
import torch
from torch.nn import functional as F

from evaluate.knn import knn_classify, ranked_classes, top_shares, vote

# golden knn.json: DINO's eval_knn.py (7c446df), float32 on CPU, inputs as `golden_inputs` makes them.
GOLDEN = [
    (1, 0.07, 68.0, 68.0), (1, 0.1, 68.0, 68.0), (5, 0.07, 78.2, 95.6), (5, 0.1, 78.4, 95.6),
    (20, 0.07, 82.8, 98.4), (20, 0.1, 84.4, 98.6), (200, 0.07, 83.6, 98.2), (200, 0.1, 85.4, 98.6),
]  # fmt: skip


@pytest.fixture(scope="module")
def golden_inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(11)
    prototypes = rng.standard_normal((10, 32))
    y_train, y_test = rng.integers(0, 10, 2000), rng.integers(0, 10, 500)
    train = (prototypes[y_train] + 1.9 * rng.standard_normal((2000, 32))).astype(np.float32)
    test = (prototypes[y_test] + 1.9 * rng.standard_normal((500, 32))).astype(np.float32)
    normal = [F.normalize(torch.from_numpy(features)) for features in (train, test)]
    return normal[0], torch.from_numpy(y_train), normal[1], torch.from_numpy(y_test)


@pytest.mark.parametrize(("k", "temperature", "top1", "top5"), GOLDEN)
@pytest.mark.parametrize("memory_mb", [64, 4096])
def test_accuracies_equal_those_of_dinos_classifier(
    k: int, temperature: float, top1: float, top5: float, memory_mb: int, golden_inputs: tuple[torch.Tensor, ...]
) -> None:
    train, y_train, test, y_test = golden_inputs
    scores = knn_classify(train, y_train, test, k=k, temperature=temperature, num_classes=10, memory_mb=memory_mb)
    # K neighbours speak for at most K classes, in DINO's script as here.
    found = top_shares(ranked_classes(scores, min(5, k)), y_test)
    assert found == pytest.approx({"top1": top1, "top5": top5})


def test_scores_are_the_sums_of_exponentials_by_class() -> None:
    bank = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]])
    scores = knn_classify(
        bank, torch.tensor([0, 1, 0, 1]), torch.tensor([[2.0, 0.0]]), k=3, temperature=0.5, num_classes=3
    )
    expected = [np.exp(1 / 0.5) + np.exp(0 / 0.5), np.exp(0.6 / 0.5), 0.0]
    assert scores[0].tolist() == pytest.approx(expected, rel=1e-6)


def test_lengths_of_the_features_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    bank, queries = torch.randn(300, 8, generator=generator), torch.randn(40, 8, generator=generator)
    labels = torch.arange(300) % 7
    stretched = bank * (torch.arange(300)[:, None] % 4 + 1.0)
    first, second = (
        knn_classify(rows, labels, queries, k=20, temperature=0.07, num_classes=7) for rows in (bank, stretched)
    )
    assert torch.allclose(first, second, rtol=1e-4)


def test_the_unweighted_vote_counts_neighbours_and_ties_go_to_the_lower_class() -> None:
    scores = vote(torch.tensor([[0.9, 0.8, 0.7, 0.1]]), torch.tensor([[3, 1, 1, 3]]), temperature=None, num_classes=4)
    assert scores.tolist() == [[0.0, 2.0, 0.0, 2.0]]
    assert ranked_classes(scores, 4).tolist() == [[1, 3, 0, 2]]


def test_a_small_temperature_still_ranks_by_likeness() -> None:
    # exp(1 / 0.005) is 7e86: beyond float32, where both classes would score infinity and class 0 win.
    scores = vote(torch.tensor([[1.0, 0.9]]), torch.tensor([[1, 0]]), temperature=0.005, num_classes=2)
    assert scores.isfinite().all()
    assert ranked_classes(scores, 2).tolist() == [[1, 0]]
    assert float(scores[0, 1]) == pytest.approx(np.exp(200.0))
