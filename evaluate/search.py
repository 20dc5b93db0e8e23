"""Exact nearest neighbours by cosine, streamed over bank and queries under a memory cap.

Every product is a tile of the same fixed shape, so the cap decides only how many queries are held while the bank passes
by, and the similarities have the same bits under any cap. Among equal similarities the lower bank index comes first.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from results.refusal import Refusal

QUERY_TILE = 512
# As fast as larger tiles, with less of the last one to be multiplied for nothing.
BANK_TILE = 2048
MIB = 2**20
# Queries merged together where ties let in any number of candidates: a sort of (64, k + 2048) stays small.
TIED_QUERIES = 64
# Below this a feature vector counts as zero, as in torch.nn.functional.normalize.
SHORTEST = 1e-12


class Rows(Protocol):
    """Feature vectors that can be read piecewise: a tensor in memory or a `features.FeatureStore` on disk."""

    @property
    def rows(self) -> int:
        """How many there are."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers in each."""
        ...

    def read_into(self, buffer: Tensor, start: int) -> None:
        """Fill `buffer` (n, dimension), a float32 CPU tensor, with the rows from `start` on."""
        ...


@dataclass(frozen=True)
class TensorRows:
    """Feature vectors (n, d) that are in memory already."""

    values: Tensor

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.values)

    @property
    def dimension(self) -> int:
        """Numbers in each."""
        return int(self.values.shape[1])

    def read_into(self, buffer: Tensor, start: int) -> None:
        """Copy the rows from `start` on into `buffer`."""
        buffer.copy_(self.values[start : start + len(buffer)])


@dataclass(frozen=True)
class Part:
    """Rows `start` to `stop` of others, as the queries of one rank."""

    whole: Rows
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.stop - self.start

    @property
    def dimension(self) -> int:
        """Numbers in each."""
        return self.whole.dimension

    def read_into(self, buffer: Tensor, start: int) -> None:
        """Read from the whole, shifted."""
        self.whole.read_into(buffer, self.start + start)


def queries_at_once(dimension: int, k: int, memory_mb: int) -> int:
    """How many queries fit under the cap while the bank streams by: a multiple of the query tile.

    Raises:
        Refusal: not even one tile fits; the message names the smallest cap that works.
    """
    bank = BANK_TILE * dimension * 4
    # Similarities and which of them are better, twice; and the library's own packed copy of the queries' tile.
    products = QUERY_TILE * (BANK_TILE * (4 + 1 + 1) + dimension * 4)
    # Places of the candidates (five int64 each), then values and indices: candidates, joined with the best, sorted.
    merging = QUERY_TILE * k * (5 * 8 + (1 + 2 + 2) * (4 + 8)) + TIED_QUERIES * BANK_TILE * (5 * 8 + 3 * (4 + 8))
    tile = QUERY_TILE * (dimension * 4 + k * (4 + 8))
    tiles = (memory_mb * MIB - bank - products - merging) // tile
    if tiles < 1:
        smallest = -(-(bank + products + merging + tile) // MIB)
        raise Refusal(f"run.memory_mb is {memory_mb}; a search in {dimension} dimensions needs at least {smallest}")
    return int(tiles) * QUERY_TILE


def nearest(bank: Rows, queries: Rows, k: int, *, memory_mb: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The `k` most similar rows of `bank` for each query: cosines (q, k), falling, and bank indices (q, k), on the CPU.

    Raises:
        Refusal: the bank has fewer than `k` rows, a feature is not finite, or the cap is below one tile.
    """
    if not 1 <= k <= bank.rows:
        raise Refusal(f"{k} neighbours were asked for, but the bank holds {bank.rows} images; choose a smaller K")
    at_once = queries_at_once(bank.dimension, k, memory_mb)
    values = torch.empty(queries.rows, k)
    indices = torch.empty(queries.rows, k, dtype=torch.int64)
    buffer = torch.empty(BANK_TILE, bank.dimension)
    for start in range(0, queries.rows, at_once):
        stop = min(queries.rows, start + at_once)
        block = _Block(Part(queries, start, stop), k, device)
        for first in range(0, bank.rows, BANK_TILE):
            tile = _tile(bank, first, buffer, device)
            block.meet(tile, first, min(BANK_TILE, bank.rows - first))
        values[start:stop], indices[start:stop] = block.result()
    return values, indices


class _Block:
    """Queries held in memory and the best neighbours each has met so far."""

    def __init__(self, queries: Rows, k: int, device: torch.device) -> None:
        self.count = queries.rows
        padded = -(-queries.rows // QUERY_TILE) * QUERY_TILE
        held = torch.zeros(padded, queries.dimension)
        queries.read_into(held[: self.count], 0)
        self.queries = _normalised_in_place(held).to(device)
        self.values = torch.full((padded, k), -torch.inf, device=device)
        self.indices = torch.zeros((padded, k), dtype=torch.int64, device=device)
        self.product = torch.empty(QUERY_TILE, BANK_TILE, device=device)

    def meet(self, bank: Tensor, first: int, rows: int) -> None:
        """Update the best with a bank tile (BANK_TILE, d) of which `rows` are real, the first having index `first`."""
        for start in range(0, len(self.queries), QUERY_TILE):
            own = slice(start, start + QUERY_TILE)
            torch.mm(self.queries[own], bank.T, out=self.product)  # (QUERY_TILE, BANK_TILE)
            better, most = _better(self.product[:, :rows], self.values[own])
            at_once = QUERY_TILE if most <= self.values.shape[1] else TIED_QUERIES
            for some in range(0, QUERY_TILE if most else 0, at_once):
                part = slice(some, some + at_once)
                self._merge(slice(start + some, start + some + at_once), self.product[part], better[part], first)

    def _merge(self, own: slice, similarities: Tensor, better: Tensor, first: int) -> None:
        values, columns = _packed(similarities, better)
        # What was met before has lower indices and stands first, so a stable sort keeps ties in index order.
        all_values = torch.cat([self.values[own], values], dim=1)
        all_indices = torch.cat([self.indices[own], columns.add_(first)], dim=1)
        order = all_values.argsort(dim=1, descending=True, stable=True)[:, : self.values.shape[1]]
        self.values[own] = all_values.gather(1, order)
        self.indices[own] = all_indices.gather(1, order)

    def result(self) -> tuple[Tensor, Tensor]:
        """Cosines and bank indices (count, k)."""
        return self.values[: self.count].cpu(), self.indices[: self.count].cpu()


def _better(similarities: Tensor, best: Tensor) -> tuple[Tensor, int]:
    """Which of `similarities` (q, b) may belong among `best` (q, k, falling), and the most there are in one row.

    More than k only if they tie. A later column that equals the k-th best stays out: the earlier one wins the tie.
    """
    k = best.shape[1]
    bound = best[:, -1:]
    better = similarities > bound
    most = int(better.sum(dim=1).max())
    if most > k:
        kth = similarities.topk(k, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
        better = similarities > bound.maximum(kth.nextafter(kth.new_tensor(-torch.inf)))  # the k-th itself belongs
        most = int(better.sum(dim=1).max())
    return better, most


def _packed(similarities: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """The `chosen` of each row of `similarities` (q, b) by rising column, padded with -inf, and their columns."""
    rows, columns = chosen.nonzero().unbind(1)
    counts = rows.bincount(minlength=len(chosen))
    place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    values = similarities.new_full((len(chosen), int(counts.max())), -torch.inf)
    packed = columns.new_zeros(values.shape)
    values[rows, place] = similarities[rows, columns]
    packed[rows, place] = columns
    return values, packed


def _tile(bank: Rows, first: int, buffer: Tensor, device: torch.device) -> Tensor:
    rows = min(BANK_TILE, bank.rows - first)
    bank.read_into(buffer[:rows], first)
    buffer[rows:] = 0
    return _normalised_in_place(buffer).to(device)


def _normalised_in_place(rows: Tensor) -> Tensor:
    """Rows of length 1; rows of zeros (the padding) stay."""
    lengths = torch.linalg.vector_norm(rows, dim=1)
    # The lengths tell as much as isfinite of every number, whose intermediate results would double the tile's memory.
    if not bool(torch.isfinite(lengths).all()):
        raise Refusal("a feature is not finite; the checkpoint's statistics or the images are damaged")
    return rows.div_(lengths.clamp_min_(SHORTEST)[:, None])
