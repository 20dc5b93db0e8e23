"""The training stream is Detectron2's own, and can be entered anywhere."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from transfer.detection_protocols import PROTOCOLS

pytestmark = pytest.mark.engine

SIZE = 3


def listed(count: int = 20) -> list[dict[str, Any]]:
    """Images of which every third is high, one is square, as Detectron2 lists them."""
    return [{"image_id": n, "width": 5 if n % 3 else 4, "height": 4 if n % 3 else 5 - (n == 6)} for n in range(count)]


def is_wide(items: list[dict[str, Any]]) -> list[bool]:
    return [one["width"] > one["height"] for one in items]


@pytest.mark.parametrize("rank", [0, 1])
def test_batches_hold_the_images_that_detectron2_would_put_in_them(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from detectron2.data import build_detection_train_loader
    from detectron2.data.samplers import TrainingSampler
    from detectron2.utils import comm

    from transfer.engines.detectron2_stream import Batches

    monkeypatch.setattr(comm, "get_rank", lambda: rank)
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    monkeypatch.setattr("detectron2.data.build.get_world_size", lambda: 2)
    items = listed()
    theirs = build_detection_train_loader(
        items, mapper=lambda item: item, sampler=TrainingSampler(len(items), seed=5), total_batch_size=2 * SIZE
    )
    ours = Batches(TrainingSampler(len(items), seed=5).__iter__, is_wide(items), SIZE)
    for batch, keys in itertools.islice(zip(theirs, ours, strict=False), 40):
        assert [one["image_id"] for one in batch] == [index for _, index in keys]


def test_a_stream_entered_late_goes_on_as_one_that_was_there_from_the_start() -> None:
    from transfer.engines.detectron2_stream import Batches

    def indices() -> Iterator[int]:
        return iter(np.random.default_rng(0).integers(0, 20, 500).tolist())

    batches = Batches(indices, is_wide(listed()), SIZE)
    whole = list(batches)
    batches.first = 37
    assert list(batches) == whole[37:]
    positions = [position for batch in whole for position, _ in batch]
    assert len(set(positions)) == len(positions)


def test_every_pass_draws_an_image_anew_and_every_session_and_worker_alike(digits_root: Path, tmp_path: Path) -> None:
    from transfer.engines.detectron2_config import configuration
    from transfer.engines.detectron2_data import find_splits, registered
    from transfer.engines.detectron2_stream import train_loader

    def pixels(first: int, workers: int) -> list[list[torch.Tensor]]:
        config = configuration(PROTOCOLS["coco-demo"])
        config.DATASETS.TRAIN, config.DATALOADER.NUM_WORKERS, config.SEED = train, workers, 7
        config.INPUT.MIN_SIZE_TRAIN = (32, 40, 48, 56, 64)
        loader = train_loader(config)
        loader.batch_sampler.first = first
        return [[one["image"] for one in batch] for batch in itertools.islice(loader, 12 - first)]

    splits = find_splits("coco", digits_root / "coco", limit=12, work=tmp_path)
    with registered(splits) as (train, _):
        whole, late, alone = pixels(0, 2), pixels(7, 1), pixels(0, 0)
    assert len({image.shape for batch in whole for image in batch}) > 3
    for other, expected in ((late, whole[7:]), (alone, whole)):
        for batch, wanted in zip(other, expected, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(batch, wanted, strict=True))
