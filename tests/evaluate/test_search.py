import pytest
import torch
from torch.nn import functional as F

from evaluate import search
from evaluate.search import BANK_TILE, QUERY_TILE, TensorRows, nearest, queries_at_once
from results.refusal import Refusal

CPU = torch.device("cpu")


def by_sorting(bank: torch.Tensor, queries: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition: the whole matrix of cosines, stably sorted."""
    values, indices = (F.normalize(queries) @ F.normalize(bank).T).sort(dim=1, descending=True, stable=True)
    return values[:, :k], indices[:, :k]


@pytest.mark.parametrize(("rows", "queries", "k"), [(20, 3, 20), (BANK_TILE, QUERY_TILE, 5), (9001, 700, 200)])
def test_the_neighbours_are_those_of_a_full_sort(rows: int, queries: int, k: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    bank, asked = torch.randn(rows, 16, generator=generator), torch.randn(queries, 16, generator=generator)
    values, indices = nearest(TensorRows(bank), TensorRows(asked), k, memory_mb=64, device=CPU)
    expected, order = by_sorting(bank, asked, k)
    assert torch.allclose(values, expected, atol=1e-6)
    assert (indices == order).float().mean() > 0.9999  # two cosines may differ by less than the product's rounding


def test_equal_similarities_go_to_the_lower_bank_index_also_across_tiles() -> None:
    generator = torch.Generator().manual_seed(0)
    # 54 different rows only, so nearly every neighbour is tied with hundreds of others.
    bank = torch.randint(0, 3, (9000, 4), generator=generator).float() + torch.tensor([1.0, 0, 0, 0])
    queries = torch.randint(0, 3, (50, 4), generator=generator).float() + torch.tensor([1.0, 0, 0, 0])
    for k in (1, 20, 200):
        values, indices = nearest(TensorRows(bank), TensorRows(queries), k, memory_mb=64, device=CPU)
        expected, order = by_sorting(bank, queries, k)
        assert torch.equal(values, expected)
        assert torch.equal(indices, order)


@pytest.mark.parametrize("k", [7, 200, 2500])
def test_a_bank_that_comes_ever_closer_is_sorted_right_with_ties_at_the_edge(k: int) -> None:
    # Every tile is better than all before it, in pairs of equals: each query has far more than k better ones, and ties.
    angles = torch.linspace(1.5, 0.1, 2600).repeat_interleave(2)
    bank = torch.stack([angles.cos(), angles.sin()], dim=1)
    asked = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    values, indices = nearest(TensorRows(bank), TensorRows(asked), k, memory_mb=256, device=CPU)
    expected, order = by_sorting(bank, asked, k)
    assert torch.equal(values, expected)
    assert torch.equal(indices, order)


def test_a_bank_of_one_repeated_row_gives_the_first_k() -> None:
    bank = torch.ones(5000, 8)
    _, indices = nearest(TensorRows(bank), TensorRows(torch.ones(2, 8)), 30, memory_mb=64, device=CPU)
    assert indices.tolist() == [list(range(30))] * 2


def test_neighbours_have_the_same_bits_under_any_cap() -> None:
    generator = torch.Generator().manual_seed(3)
    bank, queries = torch.randn(5000, 2048, generator=generator), torch.randn(1500, 2048, generator=generator)
    # At 56 MB the 1,500 queries take two passes over the bank, at 4,096 one.
    assert queries_at_once(2048, 200, 56) < 1500 < queries_at_once(2048, 200, 4096)
    first, second = (
        nearest(TensorRows(bank), TensorRows(queries), 200, memory_mb=cap, device=CPU) for cap in (56, 4096)
    )
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_a_cap_below_one_tile_is_refused_with_the_smallest_that_works() -> None:
    with pytest.raises(Refusal, match=r"run\.memory_mb is 8; .* needs at least (\d+)") as refusal:
        queries_at_once(2048, 200, 8)
    smallest = int(str(refusal.value).rsplit(" ", 1)[1])
    assert smallest <= 64
    assert queries_at_once(2048, 200, smallest) == QUERY_TILE


def test_more_neighbours_than_images_are_refused() -> None:
    with pytest.raises(Refusal, match=r"21 neighbours .* 20 images"):
        nearest(TensorRows(torch.ones(20, 4)), TensorRows(torch.ones(1, 4)), 21, memory_mb=64, device=CPU)


@pytest.mark.parametrize("where", ["bank", "queries"])
def test_features_that_are_not_finite_are_refused(where: str) -> None:
    rows = {"bank": torch.ones(30, 4), "queries": torch.ones(5, 4)}
    rows[where][3, 1] = torch.nan
    with pytest.raises(Refusal, match="not finite"):
        nearest(TensorRows(rows["bank"]), TensorRows(rows["queries"]), 3, memory_mb=64, device=CPU)


def test_a_part_reads_the_same_rows_as_the_whole() -> None:
    rows = TensorRows(torch.arange(20.0).reshape(10, 2))
    buffer = torch.empty(3, 2)
    search.Part(rows, 4, 9).read_into(buffer, 1)
    assert torch.equal(buffer, rows.values[5:8])
