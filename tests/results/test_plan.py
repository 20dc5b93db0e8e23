"""Hours from figures that can be checked by hand, and an order in which evidence grows at the least cost."""

from collections.abc import Callable

import pytest

from results.compare import compare
from results.costs import Hardware, ablation_runs, costs, hours, known_hardware, memory_per_gpu
from results.plan import ordered_stages, plan
from results.plan_text import hours_text, render_plan
from results.probe import decode_rate, free_disk_gib, host_memory_gib
from results.records import Record
from results.stages import STAGES
from results.tables import targets

Make = Callable[..., Record]
EVEN = Hardware("even", "an even machine", 1000.0, 500.0, 200.0, 1.0, 80.0, 10.0, 1000.0, "made up")


def test_the_work_of_each_stage_is_counted_from_the_published_sizes_and_the_papers_epochs() -> None:
    work = costs()
    assert work["knn"].forward_images == 1_281_167 + 50_000
    assert work["voc07"].forward_images == 5_011 + 4_952
    assert work["linear"].forward_images == 100 * (1_281_167 + 50_000)
    assert work["semi-1pct"].train_images == 20 * 12_811
    assert work["semi-10pct"].train_images == 20 * 128_116
    assert work["places205"].forward_images == 28 * (2_448_873 + 20_500)
    assert work["inat18"].forward_images == 84 * (437_513 + 24_426)
    assert (work["voc0712"].iterations, work["coco"].iterations) == (24_000, 90_000)
    assert work["pretrain-100"].views == 100 * 2 * 1_281_167


def test_hours_are_work_over_speed() -> None:
    # 133,116,700 images at 1000 a second are 36.98 hours; decoding at 10 x 1000 is no bottleneck.
    assert hours(costs()["linear"], EVEN, 1) == pytest.approx(36.977, abs=0.001)
    # Eight GPUs keep nine tenths of their speed: 36.977 / 7.2.
    assert hours(costs()["linear"], EVEN, 8) == pytest.approx(5.1357, abs=0.001)
    # One V100 of eight that take 0.261 s for an iteration: 90,000 of them on eight in 6.525 hours.
    assert hours(costs()["coco"], EVEN, 8) == pytest.approx(6.525, abs=0.001)
    assert hours(costs()["voc0712"], EVEN, 8, seeds=5) == pytest.approx(5 * 24_000 * 0.551 / 3600, abs=0.001)


def test_pretraining_on_32_v100_takes_what_the_later_version_reports() -> None:
    # "100 epochs, 11 hours on 32 V100": 202 views a second on each, and this plan assumes that several keep 0.9 of it.
    assert 0.9 * hours(costs()["pretrain-100"], known_hardware()["v100"], 32) == pytest.approx(11.0, abs=0.05)


def test_slow_decoding_is_the_bottleneck_where_it_is_slower() -> None:
    slow = Hardware("slow", "", 1000.0, 500.0, 200.0, 1.0, 80.0, 1.0, 100.0, "")
    assert hours(costs()["linear"], slow, 1) == pytest.approx(10 * 36.977, abs=0.01)


def test_memory_falls_with_the_number_of_gpus() -> None:
    # The later version: 11.3 GB for 64 images on each of 32 GPUs.
    assert memory_per_gpu(costs()["pretrain-100"], 32) == pytest.approx(11.3, abs=0.1)
    assert memory_per_gpu(costs()["voc0712"], 8) == pytest.approx(4.8)


def test_a_plan_covers_every_cell_once_and_goes_from_cheap_to_dear() -> None:
    steps = plan(compare([]), EVEN, (1, 8))
    cells = [cell for step in steps for cell in step.cells]
    assert sorted(cells) == sorted(targets()) and len(cells) == 61
    for kind in ("checkpoint", "pretraining"):
        prices = [step.cost_per_cell for step in steps if step.kind == kind]
        assert prices == sorted(prices) and prices
    assert [step.kind for step in steps] == sorted((step.kind for step in steps), key=lambda kind: kind != "checkpoint")
    assert len([step for step in steps if step.kind == "pretraining"]) == len(ablation_runs()) == 40


def test_runs_that_fill_several_cells_are_planned_once() -> None:
    step = next(step for step in plan(compare([]), EVEN, (1,)) if step.name == "official-100")
    assert len(step.cells) == 5 and "batch_size/2048/top1" in step.cells
    values = {targets()[cell].value for cell in step.cells}
    assert values == {68.6, 69.1}  # the paper's own contradiction: Table 6 prints 69.1 for the same run


def test_what_is_measured_is_not_planned_again(make_record: Make) -> None:
    records = [
        make_record(),
        make_record("table1/linear/top5", 91.1),
        make_record("table5/knn_20/top1", 64.5, protocol="knn"),
    ]
    steps = {step.name: step for step in plan(compare(records), EVEN, (1,))}
    assert "linear" not in steps
    assert steps["knn"].cells == ("table5/knn_200/top1",)


def test_a_deviating_record_leaves_its_cell_in_the_plan(make_record: Make) -> None:
    steps = plan(compare([make_record(deviations=("epochs: 100 -> 1",))]), EVEN, (1,))
    assert "table1/linear/top1" in next(step for step in steps if step.name == "linear").cells


def test_reproduce_runs_in_the_order_that_the_plan_prints() -> None:
    steps = [step.name for step in plan(compare([]), EVEN, (1,)) if step.kind == "checkpoint"]
    assert [stage.protocol for stage in ordered_stages(EVEN)] == steps
    assert set(steps) == {stage.protocol for stage in STAGES}


def test_the_printed_plan_fits_100_columns_and_says_what_does_not_fit() -> None:
    steps = plan(compare([]), known_hardware()["v100"], (1, 8, 32))
    text = render_plan(steps, known_hardware()["v100"], (1, 8, 32), free_gib=5.0)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "14 cells in 9 runs" in text and "47 cells in 40 runs" in text
    assert "voc0712: the batch does not fit into 1 x 32 GiB" in text
    assert "5 GiB free on this disk" in text and "NVIDIA DeepLearningExamples" in text


def test_nothing_left_to_plan_is_said() -> None:
    assert "nothing is left to plan" in render_plan([], EVEN, (1,), 100.0)


def test_every_figure_of_hardware_names_its_source() -> None:
    for item in known_hardware().values():
        assert len(item.source) > 40
    for cost in costs().values():
        assert len(cost.source) > 20


def test_hours_read_as_people_say_them() -> None:
    assert [hours_text(h) for h in (0.001, 0.5, 3.42, 99.9, 240.0)] == ["1 min", "30 min", "3.4 h", "99.9 h", "10 d"]


def test_the_machine_is_measured_where_no_torch_is_needed(tmp_path: object) -> None:
    from pathlib import Path

    assert 20 < decode_rate(0.2) < 20_000
    assert free_disk_gib(Path("/nowhere/at/all")) > 0
    total, available = host_memory_gib()
    assert total >= available >= 0


@pytest.mark.slow
def test_the_probe_measures_this_machine() -> None:
    from results.probe import probe

    hardware, gpus = probe()
    assert gpus >= 0 and hardware.forward_images_per_second > hardware.train_images_per_second > 0
