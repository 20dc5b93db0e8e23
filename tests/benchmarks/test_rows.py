"""Each row measured once, at toy size, end to end."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import (
    evaluators,
    forward,
    gpu,
    gpu_memory,
    lars,
    loader,
    loss,
    memory,
    probe_heads,
    ranks,
    scale_check,
    svm,
    views,
)
from benchmarks.harness import Outcome, wall_seconds

ROOT = Path(__file__).parents[2]
TOY = gpu.Setting(batch=4, size=32, width=16, device="cpu", workers=0, files=8, rounds=2, steps=1)


def sane(found: Outcome) -> None:
    assert 0 < found.lowest <= found.value <= found.highest


def test_both_losses_agree_before_they_are_timed() -> None:
    found = loss.measure(16, dimensions=32, rounds=1, repeats=1)
    sane(found)
    sane(loss.measure(16, dimensions=32, rounds=1, repeats=1, clock=wall_seconds))
    assert max(found.details["relative_difference_of_loss_and_gradients"]) < 1e-5


def test_a_loss_that_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss.textbook, "loss", lambda z_a, z_b: (z_a * z_b).sum())
    with pytest.raises(AssertionError, match="disagree"):
        loss.measure(16, dimensions=32, rounds=1, repeats=1)


def test_both_optimizers_step_over_the_same_parameters() -> None:
    parameters = [nn.Parameter(torch.randn(8, 4)), nn.Parameter(torch.randn(4))]
    found = lars.measure(parameters, rounds=1)
    sane(found)
    assert found.details["parameters"] == 36


def test_some_of_the_classes_are_spread_over_all() -> None:
    assert [svm.spread(count) for count in (1, 2, 4)] == [[10], [5, 15], [2, 7, 12, 17]]
    assert svm.spread(svm.CLASSES) == list(range(20))


def test_the_svm_row_is_the_trainers_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = {"this suite": (9.0, 10.0, 50.0), "VISSL": (99.0, 40.0, 50.05)}
    names = ("seconds", "processor_seconds", "mAP")
    found = {name: dict(zip(names, numbers, strict=True)) for name, numbers in sides.items()}
    monkeypatch.setattr(svm, "compare", lambda classes: found)
    assert evaluators.one_class_svm().value == 4
    found["VISSL"]["mAP"] = 51.0
    with pytest.raises(AssertionError, match="disagree"):
        evaluators.one_class_svm()


def test_the_probe_steps_with_many_heads_and_with_one() -> None:
    sane(probe_heads.measure(2, size=32, rounds=1, classes=5))


def test_features_in_bf16_stay_close_and_channels_last_does_not_move_them() -> None:
    found = forward.measure(2, size=64, rounds=1)
    sane(found)
    moved = found.details["relative_feature_difference"]
    assert moved["float32_channels_last"] < 1e-4 < moved["bfloat16"] < 0.1


def test_extra_memory_is_what_was_touched_above_the_start() -> None:
    if not memory.RESET.exists():
        pytest.skip("the peak of the resident set can only be reset on Linux")
    size = 64 * memory.MIB
    # In a process of its own: memory that earlier work freed and the allocator kept would be used again unseen.
    program = f"from benchmarks import memory; print(memory.extra_peak(lambda: bytearray(b'x') * {size}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    # The kernel counts pages in batches, so the last few may be missing.
    assert 0.97 * size <= int(done.stdout) < 1.3 * size


@pytest.mark.slow
def test_the_losss_memory_in_fresh_processes() -> None:
    sane(memory.measure(64, 512))


@pytest.mark.slow
@pytest.mark.parametrize("ours", [views.host_views, views.all_on_cpu])
def test_views_of_two_photographs(ours: object) -> None:
    found = views.measure(ours, images=2, rounds=1)  # type: ignore[arg-type]
    sane(found)
    assert found.details["with_official_settings"]["times_faster"] > 0


@pytest.mark.slow
def test_both_loaders_end_to_end() -> None:
    sane(loader.measure(our_batches=3, baseline_batches=2, rounds=1, batch_size=4))


@pytest.mark.slow
def test_the_streamed_search_against_the_product() -> None:
    sane(evaluators.knn(400, 100, rounds=1, k=5))


@pytest.mark.slow
@pytest.mark.distributed
def test_work_per_rank_over_two_ranks() -> None:
    sane(ranks.measure(64, 32, ranks=2, rounds=1))


@pytest.mark.slow
@pytest.mark.distributed
def test_a_step_and_its_parts_on_two_ranks() -> None:
    parts = scale_check.slowest(ranks.on_ranks(scale_check.measured, 2, 1, 8, 32, 16))
    assert min(parts.whole, parts.computation, parts.optimizer, parts.norm, parts.gather, parts.gradients) > 0


@pytest.mark.slow
def test_the_whole_training_step_without_a_gpu() -> None:
    sane(gpu.step_against_textbook(TOY))
    sane(gpu.augmentation_share(TOY))
    assert gpu.our_step_seconds(TOY) > 0
    assert gpu.our_step_seconds(replace(TOY, recompute=True)) > 0
    assert len(gpu.hottest(TOY, 3)) == 3


@pytest.mark.slow
def test_the_whole_training_step_from_files_without_a_gpu() -> None:
    sane(gpu.jpegs_against_textbook(TOY))
    assert gpu.from_files(TOY, "images_per_second").value > 0


@pytest.mark.gpu
def test_the_memory_of_a_step() -> None:
    small = gpu.Setting(batch=8, width=64, steps=1)
    sane(gpu_memory.memory(small, small))


def test_the_largest_batch_that_fits_is_found_from_above(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(setting: gpu.Setting) -> Outcome:
        if setting.batch > 700:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return Outcome(2.5, 2.5, 2.5, "", "")

    monkeypatch.setattr(gpu_memory, "step_against_textbook", step)
    found = gpu_memory.at_the_largest_that_fits(TOY, (1536, 768, 512, 256))
    assert found == {"largest_batch_that_fits_both": 512, "times_faster_there": 2.5}
    assert gpu_memory.at_the_largest_that_fits(TOY, (1536,)) == {"largest_batch_that_fits_both": TOY.batch}
