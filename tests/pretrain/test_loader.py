"""Batches are functions of seed and step: not of workers, ranks, resumes, or what was read before."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.loader import Batch, StepSampler, TwoViews, batches, epoch_order
from pretrain.recipes import RECIPES
from pretrain.settings import Recipe
from results.refusal import run_command_line

RECIPE = replace(RECIPES["demo"], global_batch_size=4, epochs=3)
COUNT = 10


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    found = []
    for index in range(COUNT):
        height, width = random.integers(33, 60, 2)
        found.append(folder / f"{index}.JPEG")
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(found[-1])
    return found


def steps(paths: list[Path], *, workers: int = 0, first: int = 0, fast: bool = True, seed: int = 0) -> list[Batch]:
    dataset = TwoViews(paths, RECIPE, seed=seed, fast=fast)
    return list(batches(dataset, StepSampler(RECIPE, COUNT, seed, first), workers=workers, pin=False))


def same(a: Batch, b: Batch) -> bool:
    pixels = torch.equal(a.pixels_a, b.pixels_a) and torch.equal(a.pixels_b, b.pixels_b)
    return pixels and np.array_equal(a.colours_a, b.colours_a) and np.array_equal(a.colours_b, b.colours_b)


def test_each_epoch_visits_every_image_once_in_its_own_order() -> None:
    visited = [sample for batch in StepSampler(RECIPE, COUNT, 0) for sample in batch]
    assert [len(batch) for batch in StepSampler(RECIPE, COUNT, 0)] == [4, 4, 2] * 3
    for epoch in range(3):
        assert sorted(index for e, index in visited if e == epoch) == list(range(COUNT))
    orders = {tuple(epoch_order(seed, epoch, COUNT)) for seed in range(2) for epoch in range(3)}
    assert len(orders) == 6


def test_dropping_the_last_batch_leaves_whole_ones() -> None:
    dropping: Recipe = replace(RECIPE, last_batch="drop")
    assert [len(batch) for batch in StepSampler(dropping, COUNT, 0)] == [4, 4] * 3


def test_ranks_share_each_global_batch_evenly_and_completely() -> None:
    whole = list(StepSampler(RECIPE, COUNT, 0))
    shares = [list(StepSampler(RECIPE, COUNT, 0, 0, rank, 2)) for rank in range(2)]
    assert [first + second for first, second in zip(*shares, strict=True)] == whole
    assert [len(batch) for batch in shares[0]] == [2, 2, 1] * 3


def test_any_number_of_workers_gives_the_same_bits(paths: list[Path]) -> None:
    alone, helped = steps(paths), steps(paths, workers=2)
    assert len(alone) == len(helped) == 9
    assert all(same(a, b) for a, b in zip(alone, helped, strict=True))


def test_a_resumed_run_gets_the_same_batches_and_reads_nothing_before_them(paths: list[Path], tmp_path: Path) -> None:
    whole = steps(paths)
    for first in (1, 3, 4, 8):
        resumed = steps(paths, first=first)
        assert len(resumed) == 9 - first
        assert all(same(a, b) for a, b in zip(whole[first:], resumed, strict=True))
    # Step 8, the last, has two images; with only those on disk it can still be made.
    needed = [index for _, index in next(iter(StepSampler(RECIPE, COUNT, 0, 8)))]
    bare = [path if index in needed else tmp_path / "gone.JPEG" for index, path in enumerate(paths)]
    assert same(steps(bare, first=8)[0], whole[8])


def test_seed_and_epoch_change_the_views(paths: list[Path]) -> None:
    dataset = TwoViews(paths, RECIPE, seed=0, fast=True)
    first, second = dataset.__getitems__([(0, 3)]), dataset.__getitems__([(1, 3)])
    other = TwoViews(paths, RECIPE, seed=1, fast=True).__getitems__([(0, 3)])
    assert not same(first, second) and not same(first, other)
    assert not torch.equal(first.pixels_a, first.pixels_b)


def test_the_reference_views_go_through_the_same_door(paths: list[Path]) -> None:
    batch = steps(paths, fast=False, first=8)[0]
    assert batch.pixels_a.shape == (2, 3, 32, 32) and batch.pixels_a.dtype == torch.uint8
    assert (batch.colours_a[:, 0] == -1).all(), "colours are done already, so the device has nothing left to do"


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("fast", [False, True])
def test_a_truncated_image_is_one_line_that_names_it_whichever_process_reads_it(
    workers: int, fast: bool, paths: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.JPEG"
    broken.write_bytes(paths[0].read_bytes()[:300])
    with pytest.raises(SystemExit) as end:
        run_command_line(lambda: len(steps([broken] * COUNT, workers=workers, fast=fast)))
    assert end.value.code == 2
    said = capfd.readouterr().err
    assert said.startswith(f"error: {broken}: ") and said.endswith("; restore the file\n") and said.count("\n") == 1


def test_building_a_loader_leaves_torchs_random_state_alone(paths: list[Path]) -> None:
    before = torch.get_rng_state()
    steps(paths, first=8, workers=1)
    assert torch.equal(before, torch.get_rng_state())
