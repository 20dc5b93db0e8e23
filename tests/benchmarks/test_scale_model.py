"""The scale model's arithmetic, by hand."""

from dataclasses import replace

import pytest

from benchmarks import scale_check, scale_model
from benchmarks.scale_check import Parts, predicted
from benchmarks.scale_model import H200, collective, epochs_cost, loss_flops, step, stops_scaling

ROUND = replace(
    H200, views_per_second=4096.0, inside_bytes_per_second=1e9, outside_bytes_per_second=1e8, inside_latency=1e-3,
    outside_latency=1e-2, memory_bytes_per_second=1e30, matrix_flops=1e30, cores_per_gpu=1,
    images_per_second_per_core=1e9,
)  # fmt: skip


def test_one_gpu_talks_to_nobody() -> None:
    alone = step(ROUND, 1)
    assert (alone.batch_norm, alone.gather, alone.gradients_shown) == (0, 0, 0)
    assert alone.seconds == pytest.approx(1.0)  # 2 x 2048 views at 4096 a second


def test_a_collective_is_latency_and_a_rings_share_of_the_bytes() -> None:
    assert collective(ROUND, 8, 8e9) == pytest.approx(1e-3 + 7.0)
    # 4 nodes: two doublings of latency, and the slower network
    assert collective(ROUND, 32, 3.2e9) == pytest.approx(1e-3 + 2e-2 + 31.0)


def test_the_loss_takes_the_smaller_matrix_there_and_back_for_both_views() -> None:
    # A product of (n, d) and (d, n) is 2 n n d; twice (forward, backward), for two views.
    assert loss_flops(10, 1000) == 8 * 10 * 10 * 1000
    assert loss_flops(1000, 10) == 8 * 1000 * 10 * 10


def test_the_backward_pass_hides_gradients_only_as_long_as_it_lasts() -> None:
    slow_network = step(ROUND, 2)
    sum_of_gradients = 1e-3 + 2 * scale_model.PARAMETERS * 4 / 2 / 1e9
    assert slow_network.gradients_shown == pytest.approx(sum_of_gradients - 2 / 3 * 0.5)
    assert step(replace(ROUND, inside_bytes_per_second=1e12), 2).gradients_shown == 0


def test_a_step_waits_for_data_that_is_slower_than_the_gpu() -> None:
    starved = replace(ROUND, images_per_second_per_core=512.0)
    assert step(starved, 1).seconds == pytest.approx(4.0)


def test_a_thousand_epochs_at_2048_are_626_thousand_steps() -> None:
    hours, gpu_hours = epochs_cost(ROUND, 1, epochs=1000, batch=2048)
    assert hours == gpu_hours == pytest.approx(626_000 / 3600)


def test_scaling_stops_where_latency_rules() -> None:
    instant = replace(ROUND, inside_latency=0, outside_latency=0, inside_bytes_per_second=1e30,
                      outside_bytes_per_second=1e30)  # fmt: skip
    assert stops_scaling(instant, batch=2048) == 2048
    assert stops_scaling(replace(instant, inside_latency=1.0), batch=2048) == 1


def test_the_table_has_a_row_for_each_number_of_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    assert scale_model.main(["--gpus", "1", "8"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| 8 | ") == 2  # H200 and A100
    assert "Beyond" in printed


def test_a_part_takes_as_long_as_on_the_slowest_rank() -> None:
    assert scale_check.slowest([Parts(1.0, 5.0, 2.0), Parts(2.0, 3.0, 2.0)]) == Parts(2.0, 5.0, 2.0)


def test_the_prediction_knows_one_ranks_computation_and_the_collectives_alone() -> None:
    alone = Parts(whole=10.0, computation=8.0, optimizer=2.0)
    collectives = Parts(99.0, 99.0, 99.0, norm_in_the_midst=99.0, norm=0.5, gather=0.25, gradients=2.0)
    # Two ranks on two processors: half the computation, which hides 2/3 x 4 of 2 seconds; each its own optimizer.
    assert predicted(alone, collectives, 2, 2).seconds == pytest.approx(4.0 + 2.0 + 0.5 + 0.25)
    # Four on two: the computation as before, the optimizers one after the other, twice.
    assert predicted(alone, collectives, 4, 2).seconds == pytest.approx(4.0 + 4.0 + 0.5 + 0.25)
    slow = Parts(99.0, 99.0, 99.0, norm=0.5, gather=0.25, gradients=3.0)
    assert predicted(alone, slow, 4, 4).seconds == pytest.approx(2.0 + 2.0 + 0.5 + 0.25 + (3.0 - 4 / 3))
