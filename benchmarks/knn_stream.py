"""Streamed exact kNN against the raw matrix product of the same sizes: rate, and peak memory against the cap.

    python -m benchmarks.knn_stream --bank 50000 --queries 20000 --memory-mb 256

The product is taken in blocks of 2,048 queries, because the whole matrix of similarities would not fit; it neither
normalises nor selects anything. Both run in this process, alternating, on features read from the same file on disk.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from evaluate.features import FeatureStore
from evaluate.search import TensorRows, nearest

PRODUCT_QUERIES = 2048
MIB = 2**20
TARGET = 0.6


def new_store(folder: Path, rows: int, seed: int) -> FeatureStore:
    """Random features (rows, 2048) on disk."""
    store = FeatureStore(folder, rows)
    generator = torch.Generator().manual_seed(seed)
    for shard in range(store.shards):
        count = len(store.shard_range(shard))
        store.write(shard, torch.randn(count, store.dimension, generator=generator).numpy())
    return store


def product_seconds(bank: Tensor, queries: Tensor) -> float:
    """The product of all queries with all of the bank, block by block into one buffer."""
    block = torch.empty(PRODUCT_QUERIES, len(bank))
    started = time.perf_counter()
    for start in range(0, len(queries), PRODUCT_QUERIES):
        rows = queries[start : start + PRODUCT_QUERIES]
        torch.mm(rows, bank.T, out=block[: len(rows)])
    return time.perf_counter() - started


def stream_seconds(bank: FeatureStore, queries: FeatureStore, k: int, memory_mb: int) -> float:
    """The streamed search, reading both from disk."""
    started = time.perf_counter()
    nearest(bank, queries, k, memory_mb=memory_mb, device=torch.device("cpu"))
    return time.perf_counter() - started


def peak_mb() -> float:
    """The most memory this process has held so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


def extra_memory_mb(bank: FeatureStore, queries: FeatureStore, k: int, memory_mb: int) -> float:
    """How much the search adds to this process's peak, beside its result; measured before anything larger runs."""
    nearest(
        TensorRows(torch.randn(k + 1, 8)),
        TensorRows(torch.randn(2, 8)),
        k,
        memory_mb=memory_mb,
        device=torch.device("cpu"),
    )
    before = peak_mb()
    stream_seconds(bank, queries, k, memory_mb)
    return peak_mb() - before - queries.rows * k * 12 / MIB


def main() -> int:
    """Print the table; status 1 if the rate misses the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("bank", 50_000), ("queries", 20_000), ("k", 200), ("memory-mb", 256), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bank = new_store(Path(folder) / "bank", chosen.bank, seed=0)
        queries = new_store(Path(folder) / "queries", chosen.queries, seed=1)
        memory = extra_memory_mb(bank, queries, chosen.k, chosen.memory_mb)
        in_memory = bank.all_rows(), queries.all_rows()
        pairs = [
            (product_seconds(*in_memory), stream_seconds(bank, queries, chosen.k, chosen.memory_mb))
            for _ in range(chosen.repeats)
        ]
    share = statistics.median(product / stream for product, stream in pairs)
    print(f"{chosen.bank} x {chosen.queries} x 2048, K {chosen.k}, {torch.get_num_threads()} threads")
    for name, values in zip(("product", "streamed"), zip(*pairs, strict=True), strict=True):
        print(f"{name}: median {statistics.median(values):.2f} s, {min(values):.2f} to {max(values):.2f} s")
    verdict = "met" if share >= TARGET else "missed"
    print(f"rate: {share:.0%} of the product's, target {TARGET:.0%}: {verdict}")
    print(f"memory: {memory:.0f} MiB beside the result, cap {chosen.memory_mb} MiB")
    return 0 if share >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
