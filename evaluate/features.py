"""Features of a whole data set on disk, computed once for each checkpoint, view, precision and set of images.

Rows are kept in shards of 2,048, each with its digest. A shard that is missing, short or altered is computed anew, so a
killed extraction goes on where it was, and a damaged cache is never believed.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from data.progress import track
from evaluate.architecture import FEATURE_DIMENSION
from evaluate.images import SquashView, normalised, pixel_batches
from evaluate.protocols import CenterView
from evaluate.trunk import trunk_features
from pretrain.distributed import World, gather_objects
from results import atomic
from results.settings import settings_hash

SHARD_ROWS = 2048
FORWARD_BATCH = 256
BYTES_PER_NUMBER = 4


@dataclass(frozen=True)
class FeatureKey:
    """What the features depend on; equal keys share one cache folder, whichever protocol asks."""

    checkpoint_sha256: str
    view: CenterView | SquashView
    precision: str
    dataset_fingerprint: str
    split: str
    subset: str = ""
    layer: str = "avgpool"
    dimension: int = FEATURE_DIMENSION

    def folder(self, root: Path) -> Path:
        """Where below `root` these features are kept."""
        return root / "features" / f"{self.split}-{self.checkpoint_sha256[:12]}-{settings_hash(self)}"


class FeatureStore:
    """`rows` feature vectors (rows, dimension) of float32 in `folder`, one shard file with a digest file each."""

    def __init__(self, folder: Path, rows: int, dimension: int = FEATURE_DIMENSION) -> None:
        self.folder = folder
        self.rows = rows
        self.dimension = dimension
        self.row_bytes = dimension * BYTES_PER_NUMBER

    @property
    def shards(self) -> int:
        """How many shards there are; the last may be shorter."""
        return -(-self.rows // SHARD_ROWS)

    def shard_range(self, shard: int) -> range:
        """The rows of a shard."""
        return range(shard * SHARD_ROWS, min(self.rows, (shard + 1) * SHARD_ROWS))

    def write(self, shard: int, features: NDArray[np.float32]) -> None:
        """Write a whole shard; its digest is written last, so an interrupted shard has none."""
        assert features.shape == (len(self.shard_range(shard)), self.dimension), features.shape
        content = np.ascontiguousarray(features, dtype=np.float32).tobytes()
        self._digest_file(shard).unlink(missing_ok=True)
        atomic.write_bytes(self._file(shard), content)
        atomic.write_text(self._digest_file(shard), json.dumps({"sha256": hashlib.sha256(content).hexdigest()}) + "\n")

    def is_intact(self, shard: int) -> bool:
        """Whether the shard is there, whole, and as it was written."""
        try:
            recorded = json.loads(self._digest_file(shard).read_text(encoding="utf-8"))["sha256"]
            if self._file(shard).stat().st_size != len(self.shard_range(shard)) * self.row_bytes:
                return False
            with self._file(shard).open("rb") as file:
                return bool(hashlib.file_digest(file, "sha256").hexdigest() == recorded)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False

    def read_into(self, buffer: Tensor, start: int) -> None:
        """Fill `buffer` (n, dimension), a CPU tensor, with the rows from `start` on."""
        target = memoryview(buffer.numpy().reshape(-1).view(np.uint8).data)
        done, stop = 0, start + len(buffer)
        while start < stop:
            shard = start // SHARD_ROWS
            rows = min(stop, (shard + 1) * SHARD_ROWS) - start
            with self._file(shard).open("rb") as file:
                file.seek((start - shard * SHARD_ROWS) * self.row_bytes)
                read = file.readinto(target[done : done + rows * self.row_bytes])
            assert read == rows * self.row_bytes, (shard, read)
            start, done = start + rows, done + rows * self.row_bytes

    def all_rows(self) -> Tensor:
        """Every feature (rows, dimension) in memory."""
        found = torch.empty(self.rows, self.dimension)
        self.read_into(found, 0)
        return found

    def _file(self, shard: int) -> Path:
        return self.folder / f"{shard:05d}.f32"

    def _digest_file(self, shard: int) -> Path:
        return self.folder / f"{shard:05d}.json"


def cached_features(
    key: FeatureKey, paths: Sequence[Path], trunk: nn.Module, *, root: Path, world: World, workers: int
) -> FeatureStore:
    """The features of `paths` (in this order) under `key`, computing only the shards that are not intact.

    `trunk` maps images to (n, key.dimension), in evaluation mode on `world.device`. Every rank calls this; shard i
    belongs to rank i mod ranks.
    """
    store = FeatureStore(key.folder(root), len(paths), key.dimension)
    own = range(world.rank, store.shards, world.size)
    broken = [shard for shard in own if not store.is_intact(shard)]
    _extract(store, broken, paths, trunk, key, world.device, workers)
    gather_objects(None)  # no rank reads before all have written
    return store


@torch.no_grad()
def _extract(
    store: FeatureStore,
    shards: Sequence[int],
    paths: Sequence[Path],
    trunk: nn.Module,
    key: FeatureKey,
    device: torch.device,
    workers: int,
) -> None:
    batches = [
        [(index, 0) for index in store.shard_range(shard)[start : start + FORWARD_BATCH]]
        for shard in shards
        for start in range(0, len(store.shard_range(shard)), FORWARD_BATCH)
    ]
    if not batches:
        return
    waiting = list(shards)
    rows: list[NDArray[np.float32]] = []
    pixels = pixel_batches(paths, key.view, batches, workers)
    for batch in track(pixels, f"features of {key.split}", len(batches)):
        features = trunk_features(trunk, normalised(batch, device), key.precision)  # (n, dimension)
        rows.append(features.cpu().numpy())
        if sum(map(len, rows)) == len(store.shard_range(waiting[0])):
            store.write(waiting.pop(0), np.concatenate(rows))
            rows = []
