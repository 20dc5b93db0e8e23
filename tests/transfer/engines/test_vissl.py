"""VISSL end to end on the digits corpus: it learns, agrees with the native probe, resumes, explains its failures."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from data.listing import list_images
from evaluate.images import epoch_order, normalised, pixel_batches
from evaluate.protocols import CenterView
from pretrain.resnet import resnet50
from results import sealed
from results.records import CheckpointIdentity, DatasetIdentity, read_records
from results.refusal import Refusal
from transfer import linear_probe
from transfer.engines import vissl
from transfer.job import Job
from transfer.protocols import PROTOCOLS, Head, LinearProtocol
from transfer.run import LinearRun

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[3]
DEMO = PROTOCOLS["places205-demo"]
assert isinstance(DEMO, LinearProtocol)
TINY = replace(DEMO, epochs=2, drop_epochs=(1,), heads=(Head("res5avg"),))


def job(data: Path, folder: Path, protocol: LinearProtocol = TINY, **changes: Any) -> Job[LinearProtocol, LinearRun]:
    settings = {"checkpoint": "random-init", "seed": 0, "limit": 64, "workers": 0, "device": "cpu", **changes}
    folder.mkdir(parents=True, exist_ok=True)
    dataset = DatasetIdentity(protocol.dataset, "digits", "f", {})
    identity = CheckpointIdentity("a", "b", "c")
    return Job("places205-demo", protocol, LinearRun(data=data, **settings), identity, dataset, folder)


@pytest.fixture(scope="module")
def trained(digits_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-50 taught the ten digits with their labels for five passes: features worth probing."""
    torch.manual_seed(0)
    images = list_images(digits_root / "imagenet", "imagenet", "train")
    labels = torch.tensor(images.labels)
    every = [[(index, 0) for index in range(len(labels))]]
    (pixels,) = pixel_batches(images.paths, CenterView(32, 32), every, 0)
    trunk, head = resnet50(), nn.Linear(2048, 10)
    optimizer = torch.optim.AdamW([*trunk.parameters(), *head.parameters()], 1e-3)
    for epoch in range(5):
        order = epoch_order(len(labels), 0, epoch)
        for start in range(0, 1408, 64):
            batch = order[start : start + 64]
            with torch.autocast("cpu", torch.bfloat16):
                scores = head(trunk(normalised(pixels[batch], torch.device("cpu"))))
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores.float(), labels[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    path = tmp_path_factory.mktemp("trained") / "resnet50.pth"
    torch.save(trunk.state_dict(), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["places205", "inat18"])
def test_both_engines_agree_within_two_points_for_three_seeds_and_random_init_is_far_below(
    dataset: str, digits_root: Path, trained: Path, tmp_path: Path
) -> None:
    protocol = PROTOCOLS[f"{dataset}-demo"]
    assert isinstance(protocol, LinearProtocol)
    numbers: dict[int, tuple[float, float]] = {}
    for seed in (0, 1, 2):
        runs = {
            name: job(
                digits_root / dataset, tmp_path / f"{name}{seed}", protocol, checkpoint=str(trained), seed=seed, limit=0
            )
            for name in ("vissl", "native")
        }
        measured = (vissl.measure(runs["vissl"]), linear_probe.measure(runs["native"]))
        numbers[seed] = (measured[0].measurements[0].value, measured[1].measurements[0].value)
    assert all(abs(theirs - ours) <= 2 for theirs, ours in numbers.values()), numbers
    control = vissl.measure(job(digits_root / dataset, tmp_path / "control", protocol, limit=0)).measurements[0].value
    assert control < min(min(pair) for pair in numbers.values()) - 30, (control, numbers)


@pytest.mark.slow
def test_a_run_killed_midway_is_continued_by_the_same_command_to_the_same_number(
    digits_root: Path, tmp_path: Path
) -> None:
    def command(output: str) -> list[str]:
        flags = {
            "run.checkpoint": "random-init",
            "run.data": digits_root / "places205",
            "run.output": tmp_path / output,
            "run.records": tmp_path / f"{output}-records",
            "run.limit": 128,
            "run.device": "cpu",
        }
        flat = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
        return [sys.executable, "-m", "transfer", "places205-demo", *flat]

    process = subprocess.Popen(command("cut"), cwd=ROOT)
    saved = tmp_path / "cut"
    wait_for(lambda: bool(list(saved.glob("*/vissl/model_phase1.torch"))) or process.poll() is not None, 200)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for output in ("cut", "whole"):
        done = subprocess.run(command(output), cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    (cut,), _ = read_records(tmp_path / "cut-records")
    (whole,), _ = read_records(tmp_path / "whole-records")
    assert cut.resumed
    assert not whole.resumed
    assert cut.measurement == whole.measurement


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_truncated_image_ends_the_run_by_name_and_once_restored_it_starts_anew(
    copy_digits: Callable[..., Path], tmp_path: Path
) -> None:
    data = copy_digits("places205") / "places205"
    broken = sorted((data / "train").rglob("*.jpg"))[0]
    content = broken.read_bytes()
    broken.write_bytes(content[:100])
    with pytest.raises(Refusal, match=f"{broken}: VISSL cannot decode it, and no image may be missing; restore it"):
        vissl.measure(job(data, tmp_path / "run", limit=0))
    broken.write_bytes(content)
    outcome = vissl.measure(job(data, tmp_path / "run", limit=0))
    (found,) = outcome.measurements
    assert outcome.extra_deviations == ()
    assert found.details["conversion"]["matched"] == 318
    assert len(found.details["top1_by_epoch"]["res5avg"]) == 2


@pytest.mark.slow
def test_a_failure_of_vissl_is_explained_by_the_last_lines_of_its_log(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transfer.engines import vissl_config

    monkeypatch.setitem(vissl_config.BASES, "places205", "benchmark/no_such_file")  # type: ignore[misc]
    with pytest.raises(Refusal, match=r"(?s)VISSL ended with status \d; the last lines of .*vissl\.log:.*no_such_file"):
        vissl.measure(job(digits_root / "places205", tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.distributed
def test_two_processes_over_gloo_train_together_as_several_gpus_would(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = vissl._machine
    monkeypatch.setattr(vissl, "_machine", lambda job: replace(alone(job), processes=2))
    (found,) = vissl.measure(job(digits_root / "places205", tmp_path / "run")).measurements
    assert len(found.details["top1_by_epoch"]["res5avg"]) == 2
    assert "world_size: 2, rank: 0" in (tmp_path / "run" / "vissl.log").read_text()


@pytest.mark.gpu
def test_vissl_trains_on_the_gpus_of_this_machine(digits_root: Path, tmp_path: Path) -> None:
    outcome = vissl.measure(job(digits_root / "places205", tmp_path / "run", device="cuda"))
    assert outcome.accelerator.startswith(f"{torch.cuda.device_count()} x ")
    assert len(outcome.measurements[0].details["top1_by_epoch"]["res5avg"]) == 2


def test_a_port_in_use_is_refused_before_anything_starts(digits_root: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refusal, match=rf"run\.port {port} cannot be used"):
            vissl.measure(job(digits_root / "places205", tmp_path / "run", port=port))
    assert not (tmp_path / "run" / "vissl.log").exists()


def test_more_gpus_than_there_are_are_refused(digits_root: Path, tmp_path: Path) -> None:
    asked = torch.cuda.device_count() + 1
    with pytest.raises(Refusal, match=rf"run\.gpus is {asked}, but torch finds {asked - 1}"):
        vissl.measure(job(digits_root / "places205", tmp_path / "run", device="auto", gpus=asked))


def test_a_checkpoint_of_another_architecture_is_refused_before_vissl_starts(digits_root: Path, tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.save(resnet18().state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(Refusal, match="no complete ResNet-50"):
        vissl.measure(job(digits_root / "places205", tmp_path / "run", checkpoint=str(tmp_path / "resnet18.pth")))
    assert not (tmp_path / "run" / "vissl.log").exists()


def test_an_inat_category_without_images_is_refused_before_vissl_starts(
    copy_digits: Callable[..., Path], tmp_path: Path
) -> None:
    data = copy_digits("inat18") / "inat18"
    file = data / "val2018.json"
    content = json.loads(file.read_text())
    gone = content["annotations"][0]["category_id"]
    kept = {item["image_id"] for item in content["annotations"] if item["category_id"] != gone}
    content["annotations"] = [item for item in content["annotations"] if item["image_id"] in kept]
    content["images"] = [item for item in content["images"] if item["id"] in kept]
    file.write_text(json.dumps(content))
    protocol = PROTOCOLS["inat18-demo"]
    assert isinstance(protocol, LinearProtocol)
    with pytest.raises(Refusal, match=f"category {gone} has no images"):
        vissl.measure(job(data, tmp_path / "run", protocol))
    assert not (tmp_path / "run" / "vissl.log").exists()


def test_a_finished_run_is_read_and_not_trained_again(digits_root: Path, tmp_path: Path) -> None:
    one = job(digits_root / "places205", tmp_path / "run")
    folder = tmp_path / "run" / "vissl"
    folder.mkdir()
    lines = [
        {
            "train_phase_idx": epoch,
            "test_accuracy_list_meter": {"top_1": {"res5avg": 40.0 + epoch}, "top_5": {"res5avg": 80.0}},
        }
        for epoch in range(2)
    ]
    (folder / "metrics.json").write_text("\n".join(map(json.dumps, lines)))
    sealed.seal(folder / "metrics.json")
    sealed.write_json(tmp_path / "run" / "proof.json", {})
    assert vissl.measure(one).measurements[0].value == 41.0
    assert not (tmp_path / "run" / "vissl.log").exists()


def test_a_run_killed_between_its_last_epoch_and_its_last_test_is_not_taken_for_finished(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(digits_root / "places205", tmp_path / "run")
    final = tmp_path / "run" / "vissl" / "model_final_checkpoint_phase1.torch"
    final.parent.mkdir()
    final.write_bytes(b"")
    started: list[bool] = []

    def follow(*arguments: object) -> Iterator[str]:
        started.append(final.exists())
        yield from ()

    monkeypatch.setattr(vissl, "follow", follow)
    with pytest.raises(Refusal, match="vissl measured 0 of 2 epochs"):
        vissl.measure(one)
    assert started == [False]


def test_the_threads_of_the_user_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = vissl.vissl_config.Machine(1, False, 0, Path(), Path(), 0)
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "3")
    assert vissl._threads(machine) == 3
