"""VISSL's log lines and metrics file, read back. The samples are lines that VISSL 0.1.6 wrote."""

import json
from pathlib import Path

import pytest

from results.refusal import Refusal
from transfer.engines.vissl_metrics import EpochMetrics, iterations, measurement, read_metrics, unreadable_images
from transfer.protocols import PROTOCOLS, LinearProtocol

LOG = [
    "INFO 2026-11-22 20:00:50,560 trainer_main.py: 175: Starting training....",
    "INFO 2026-11-22 20:00:53,748 log_hooks.py: 277: Rank: 0; [ep: 0] iter: 1; lr: 0.05; loss: 3.55462; btime(ms): 24;",
    "INFO 2026-11-22 20:00:58,920 log_hooks.py: 277: Rank: 0; [ep: 0] iter: 5; lr: 0.05; loss: 2.77386; btime(ms): 10;",
    "WARNING 2026-11-22 20:00:59,000 disk_dataset.py: 198: Couldn't load: /data/a b.jpg. Exception: ",
]
METRICS = (
    '{"iteration": 23, "phase_idx": 0, "train_accuracy_list_meter": {"top_1": {"res4": 69.8}, "top_5": {"res4": 93.1}'
    '}, "train_phase_idx": 0}\n'
    '{"iteration": 23, "phase_idx": 1, "test_accuracy_list_meter": {"top_1": {"res4": 65.8, "res5avg": 62.5}, '
    '"top_5": {"res4": 95.5, "res5avg": 96.1}}, "train_phase_idx": 0}\n'
)


def epochs(*top1: float) -> list[EpochMetrics]:
    return [EpochMetrics(i, {"res5avg": {"top1": v, "top5": 90.0}}) for i, v in enumerate(top1, start=1)]


def demo() -> LinearProtocol:
    protocol = PROTOCOLS["places205-demo"]
    assert isinstance(protocol, LinearProtocol)
    return protocol


def test_each_iteration_is_counted_once_and_the_rest_at_the_end() -> None:
    assert list(iterations(LOG, 8)) == list(range(8))


def test_unreadable_images_of_all_sessions_are_collected_by_path(tmp_path: Path) -> None:
    other = LOG[-1].replace("a b.jpg", "c.jpg")
    (tmp_path / "log").write_text("\n".join([*LOG, *LOG, other]))
    assert unreadable_images(tmp_path / "log") == ["/data/a b.jpg", "/data/c.jpg"]
    assert unreadable_images(tmp_path / "absent") == []


def test_a_resumed_run_starts_where_its_first_line_says() -> None:
    seen = iterations(["x [ep: 3] iter: 70; lr: 0.1"], 100)
    assert [next(seen) for _ in range(70)][-1] == 69


def test_validation_metrics_are_read_by_head(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(METRICS)
    (epoch,) = read_metrics(tmp_path)
    assert epoch.epoch == 1
    assert epoch.heads["res5avg"] == {"top1": 62.5, "top5": 96.1}


def test_an_epoch_repeated_after_a_restart_counts_once_and_a_torn_line_not_at_all(tmp_path: Path) -> None:
    again = METRICS.replace("62.5", "63.5")
    (tmp_path / "metrics.json").write_text(METRICS + again + '{"iteration": 46, "test_acc')
    (epoch,) = read_metrics(tmp_path)
    assert epoch.heads["res5avg"]["top1"] == 63.5


def test_without_a_metrics_file_there_are_no_epochs(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []


def test_the_cell_is_the_last_epoch_of_the_declared_head_and_the_best_stands_beside_it() -> None:
    found = measurement(demo(), epochs(50.0, 70.0, 60.0, 55.0, 60.0, 65.0), 360, "vissl")
    assert (found.cell, found.value, found.final, found.best) == ("table2/places205/top1", 65.0, 65.0, 70.0)
    assert found.details["heads"]["res5avg"] == {"top1": 65.0, "top5": 90.0, "best_top1": 70.0, "best_top5": 90.0}
    assert found.details["top1_by_epoch"] == {"res5avg": [50.0, 70.0, 60.0, 55.0, 60.0, 65.0]}
    json.dumps(dict(found.details))


def test_an_unfinished_run_is_refused_with_its_epochs() -> None:
    with pytest.raises(Refusal, match="vissl measured 2 of 6 epochs"):
        measurement(demo(), epochs(1.0, 2.0), 360, "vissl")
