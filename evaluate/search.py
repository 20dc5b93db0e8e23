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
BANK_TILE = 4096
MIB = 2**20
# Rows whose tie at the edge is resolved together: a sort of (64, 4096) stays small beside the product's tile.
TIED_ROWS = 64
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
    products = QUERY_TILE * BANK_TILE * (4 + 1 + 1)  # similarities and two masks
    merging = QUERY_TILE * 2 * k * (4 + 8) * 2 + TIED_ROWS * BANK_TILE * (4 + 8)
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
            values, indices = _better(self.product[:, :rows], self.values[own])
            if values.shape[1]:
                # What was met before has lower indices and stands first, so a stable sort keeps ties in index order.
                all_values = torch.cat([self.values[own], values], dim=1)
                all_indices = torch.cat([self.indices[own], indices + first], dim=1)
                order = all_values.argsort(dim=1, descending=True, stable=True)[:, : self.values.shape[1]]
                self.values[own] = all_values.gather(1, order)
                self.indices[own] = all_indices.gather(1, order)

    def result(self) -> tuple[Tensor, Tensor]:
        """Cosines and bank indices (count, k)."""
        return self.values[: self.count].cpu(), self.indices[: self.count].cpu()


def _better(similarities: Tensor, best: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row of `similarities` (q, b) at most k that belong among `best` (q, k, falling); the width varies.

    They come in falling order, equal ones by rising column, and are padded with -inf. A later column that only
    equals the k-th best stays out: the earlier one wins the tie.
    """
    k = best.shape[1]
    above = (similarities > best[:, -1:]).sum(dim=1)
    width = min(int(above.max()), k)
    values, columns = similarities.topk(width, dim=1) if width else (similarities[:, :0], above[:, None][:, :0])
    crowded = above > width
    if width and bool(crowded.any()):
        # Some of these rows may have left out a lower column that equals the last value kept.
        tied = crowded & ((similarities >= values[:, -1:]).sum(dim=1) > width)
        for rows in torch.split(tied.nonzero()[:, 0], TIED_ROWS):
            values[rows], columns[rows] = _first_of_sorted(similarities[rows], width)
    columns, order = columns.sort(dim=1)
    values = values.gather(1, order)
    order = values.argsort(dim=1, descending=True, stable=True)
    values, columns = values.gather(1, order), columns.gather(1, order)
    return values.masked_fill(values <= best[:, -1:], -torch.inf), columns


def _first_of_sorted(similarities: Tensor, width: int) -> tuple[Tensor, Tensor]:
    values, columns = similarities.sort(dim=1, descending=True, stable=True)
    return values[:, :width], columns[:, :width]


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
