import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_trunk import measure, records_of, tiny_trunk, use_tiny_trunk
from torch.nn import functional as F

from evaluate import probe
from evaluate.heads import Heads
from evaluate.journal import Journal
from evaluate.predictions import read_predictions
from results.refusal import Refusal

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_trunk(monkeypatch)


def course(folder: Path, cell: str) -> Any:
    """What must not depend on interruptions or ranks: the numbers by epoch, and each image's prediction."""
    record = records_of(folder)[cell]
    predictions = read_predictions(folder / "records" / record.attachments["predictions"])
    return record.measurement.details["by_epoch"], predictions.ranked.tolist(), predictions.images


@pytest.mark.parametrize(("name", "cell"), [("linear-demo", "linear"), ("semi-10pct-demo", "semi_10pct")])
def test_a_resumed_run_equals_an_uninterrupted_one(
    name: str, cell: str, digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {} if cell == "linear" else {"statistics_batch_size": 8}
    measure(tmp_path / "whole", digits_root, name, **settings)
    plain_step, done = probe.ProbeTraining._step, []

    def step_and_fall(self: Any, chunks: Any, pixels: Any) -> torch.Tensor:
        if len(done) in (5, 9):
            done.append("fell")
            raise KeyboardInterrupt
        done.append("stepped")
        return plain_step(self, chunks, pixels)

    monkeypatch.setattr(probe.ProbeTraining, "_step", step_and_fall)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            measure(tmp_path / "torn", digits_root, name, run={"save_every_seconds": 0.0}, **settings)
    measure(tmp_path / "torn", digits_root, name, run={"save_every_seconds": 0.0}, **settings)
    for metric in ("top1", "top5"):
        torn, whole = (course(tmp_path / folder, f"table1/{cell}/{metric}") for folder in ("torn", "whole"))
        assert torn == whole
    assert records_of(tmp_path / "torn")[f"table1/{cell}/top1"].resumed
    assert done.count("stepped") == 12  # nothing was done twice: 4 steps an epoch, 3 epochs


def test_the_frozen_trunk_is_bit_identical_afterwards_and_the_record_says_so(digits_root: Path, tmp_path: Path) -> None:
    measure(tmp_path, digits_root, "linear-demo")
    details = records_of(tmp_path)["table1/linear/top1"].measurement.details
    assert details["trunk_sha256_before"] == details["trunk_sha256_after"]


def test_a_frozen_trunk_that_moves_fails_the_run(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = probe.ProbeTraining._step

    def step_and_move(self: Any, chunks: Any, pixels: Any) -> torch.Tensor:
        self.trunk.bn1.running_mean += 1e-7
        return plain(self, chunks, pixels)

    monkeypatch.setattr(probe.ProbeTraining, "_step", step_and_move)
    with pytest.raises(AssertionError, match="frozen trunk changed"):
        measure(tmp_path, digits_root, "linear-demo", epochs=1)
    assert not (tmp_path / "records").exists()


def test_final_and_best_are_recorded_apart_and_the_declared_one_is_the_value(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = probe.ProbeTraining._validate
    ends = iter([30.0, 70.0, 50.0] * 2)

    def told(self: Any) -> Any:
        predictions, _ = plain(self)
        return predictions, [{"top1": value, "top5": 90.0} for value in [next(ends)]]

    monkeypatch.setattr(probe.ProbeTraining, "_validate", told)
    for reported, expected in (("final", 50.0), ("best", 70.0)):
        measure(tmp_path / reported, digits_root, "linear-demo", reported=reported)
        record = records_of(tmp_path / reported)["table1/linear/top1"]
        assert record.measurement.value == expected
        assert (record.measurement.final, record.measurement.best) == (50.0, 70.0)
        assert record.measurement.details["best_epoch"] == 2
        assert record.measurement.details["reported"] == reported


def test_further_learning_rates_leave_the_declared_heads_number_alone(digits_root: Path, tmp_path: Path) -> None:
    measure(tmp_path / "one", digits_root, "linear-demo", head_learning_rates=(0.02,))
    measure(tmp_path / "many", digits_root, "linear-demo", head_learning_rates=(0.02, 0.5, 3.0))
    one, many = (records_of(tmp_path / name)["table1/linear/top1"].measurement for name in ("one", "many"))
    assert one.details["by_epoch"] == many.details["by_epoch"]
    assert [head["learning_rate"] for head in many.details["heads"]] == [0.02, 0.5, 3.0]


def test_each_heads_gradient_is_that_of_its_own_mean_loss() -> None:
    heads = Heads(2, 4, std=0.01, seed=0)
    with torch.no_grad():
        heads.heads[1].weight.mul_(-3.0)
    features = torch.randn(6, 2048, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    (heads.loss_sums(features, labels) / 6).sum().backward()  # type: ignore[no-untyped-call]
    for head in heads.heads:
        weight = head.weight.detach().clone().requires_grad_()
        F.cross_entropy(features @ weight.T, labels).backward()  # type: ignore[no-untyped-call]
        assert torch.allclose(head.weight.grad, weight.grad, atol=1e-7)


def test_fine_tuning_moves_trunk_and_statistics_once_a_step(digits_root: Path, tmp_path: Path) -> None:
    measure(tmp_path, digits_root, "semi-10pct-demo", epochs=1, statistics_batch_size=4)
    (state_file,) = (tmp_path / "work").glob("semi*/checkpoints/*.pt")
    state = torch.load(state_file, weights_only=True)["trunk"]
    untouched = tiny_trunk().state_dict()
    assert not torch.equal(state["layer4.0.conv3.weight"], untouched["layer4.0.conv3.weight"])
    # 60 images in 4 steps: of each step's 3 or 4 chunks only the first moves the running variance towards its own,
    # so after 4 steps it keeps 0.9^4 of the initial 1 where the batches' own variance is nearly 0.
    smallest = float(torch.cat([value for name, value in state.items() if name.endswith("running_var")]).min())
    assert smallest >= 0.9**4 - 1e-6
    assert smallest < 0.9**3


def start_ranks(ranks: int, arguments: dict[str, Any]) -> None:
    with socket.socket() as probed:
        probed.bind(("127.0.0.1", 0))
        port = probed.getsockname()[1]
    processes = []
    for rank in range(ranks):
        announced = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_PORT": port}
        environment = os.environ | {name: str(value) for name, value in announced.items()}
        environment |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        environment["PYTHONPATH"] = str(ROOT)
        command = [sys.executable, str(Path(__file__).with_name("small_trunk.py")), json.dumps(arguments)]
        processes.append(subprocess.Popen(command, env=environment))
    try:
        assert [process.wait(240) for process in processes] == [0] * ranks
    finally:
        for process in processes:
            process.kill()


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("name", "cell"),
    [("linear-demo", "table1/linear/top1"), ("semi-10pct-demo", "table1/semi_10pct/top1")],
)
def test_two_ranks_give_the_numbers_of_one(name: str, cell: str, digits_root: Path, tmp_path: Path) -> None:
    arguments = {"data": str(digits_root), "name": name, "epochs": 2, "run": {"limit": 61}}
    if name.startswith("semi"):
        # Batch statistics of fewer images of one pixel make a random network chaotic: rounding would decide.
        arguments["statistics_batch_size"] = 8
    start_ranks(2, arguments | {"folder": str(tmp_path / "two")})
    measure(tmp_path / "one", digits_root, **{key: value for key, value in arguments.items() if key != "data"})
    one, two = (records_of(tmp_path / name)[cell] for name in ("one", "two"))
    assert two.measurement.details["ranks"] == 2
    assert two.measurement.sample_count == one.measurement.sample_count == len(course(tmp_path / "two", cell)[2])
    assert two.measurement.value == pytest.approx(one.measurement.value, abs=0.5)
    agreeing = sum(a[0] == b[0] for a, b in zip(*(course(tmp_path / n, cell)[1] for n in ("one", "two")), strict=True))
    assert agreeing >= 0.97 * one.measurement.sample_count


@pytest.mark.distributed
def test_a_step_with_several_chunks_on_each_rank_equals_one_ranks(digits_root: Path, tmp_path: Path) -> None:
    # One step only: 16 images in 4 chunks, 2 on each rank, which one rank adds up in another order. Batch statistics of
    # 4 images make later steps amplify that rounding (one rank nudged by 1e-7 drifts by 2e-4 in the first step alone).
    arguments = {"name": "semi-10pct-demo", "epochs": 1, "statistics_batch_size": 4, "run": {"limit": 16}}
    start_ranks(2, arguments | {"data": str(digits_root), "folder": str(tmp_path / "two")})
    measure(tmp_path / "one", digits_root, **arguments)  # type: ignore[arg-type]
    one, two = (
        torch.load(next((tmp_path / name / "work").glob("semi*/checkpoints/*.pt")), weights_only=True)["trunk"]
        for name in ("one", "two")
    )
    for name in (name for name in one if not name.endswith("num_batches_tracked")):
        assert torch.allclose(one[name], two[name], rtol=1e-5, atol=1e-5 * float(one[name].abs().max())), name


@pytest.mark.distributed
def test_two_ranks_search_neighbours_as_one(digits_root: Path, tmp_path: Path) -> None:
    arguments = {"data": str(digits_root), "name": "knn-demo", "neighbours": [20], "run": {"limit": 61}}
    start_ranks(2, arguments | {"folder": str(tmp_path / "two")})
    measure(tmp_path / "one", digits_root, "knn-demo", neighbours=(20,), run={"limit": 61})
    one, two = (records_of(tmp_path / name)["table5/knn_20/top1"].measurement for name in ("one", "two"))
    assert (one.value, one.sample_count) == (two.value, two.sample_count)
    assert one.details["votes"] == two.details["votes"]


def test_the_log_of_lost_work_is_dropped_and_a_cut_line_too(tmp_path: Path) -> None:
    first = Journal(tmp_path, resumed_step=0)
    for step in (1, 2, 3):
        first.write(step, loss=float(step))
    first.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    second = Journal(tmp_path, resumed_step=2)
    second.write(3, loss=30.0)
    second.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_diverged_probe_stops_and_leaves_no_outcome(digits_root: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"linear-demo: diverged by step \d+ .*head_learning_rates 1e\+38; nothing"):
        measure(tmp_path, digits_root, "linear-demo", head_learning_rates=(1e38,), weight_decay=1e6)
    (folder,) = (tmp_path / "work").glob("linear-demo-*")
    assert not (folder / "result.json").exists()
    assert not list((tmp_path / "records").glob("*.json"))
    # "NaN" is no JSON: a strict reader refuses it.
    lines = (folder / "log.jsonl").read_text().splitlines()
    found = [json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} in the log"))["loss"] for line in lines]
    assert found[-1] is None or found[-1] > 0


def test_a_number_that_is_not_finite_is_null_in_the_log(tmp_path: Path) -> None:
    journal = Journal(tmp_path, resumed_step=0)
    journal.write(1, loss=float("nan"), lr=0.5)
    journal.close()
    assert (tmp_path / "log.jsonl").read_text() == '{"step": 1, "loss": null, "lr": 0.5}\n'
