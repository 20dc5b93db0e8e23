"""Detectron2 as a process of its own: its refusals come through, it dies with its parent, and its numbers come home."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from results import sealed
from results.records import CheckpointIdentity, DatasetIdentity, Record, read_records
from results.refusal import Refusal
from transfer.detection_protocols import PROTOCOLS, VOC0712
from transfer.detection_run import DetectionRun
from transfer.engines import child, detectron2
from transfer.engines.detectron2_task import Task
from transfer.job import Job

ROOT = Path(__file__).parents[3]
# As small as both detectors allow: what is tested is the way, not the numbers.
TINY = [
    "--protocol.train-short-sides", "64", "--protocol.test-short-side", "64", "--protocol.max-long-side", "96",
    "--protocol.regions-per-image", "4", "--protocol.proposals-train", "8", "--protocol.proposals-test", "4",
    "--protocol.precise-bn-iterations", "1", "--run.limit", "25", "--run.workers", "0", "--run.device", "cpu",
    "--run.checkpoint", "random-init",
]  # fmt: skip
DATA = {"voc0712-demo": "VOCdevkit", "coco-demo": "coco"}


def command(name: str, digits_root: Path, folder: Path, *more: str, iterations: int = 2) -> list[str]:
    paths = [
        "--run.data",
        digits_root / DATA[name],
        "--run.output",
        folder / "out",
        "--run.records",
        folder / "records",
    ]
    schedule = ["--protocol.iterations", iterations, "--protocol.lr-drops", iterations - 1]
    return [sys.executable, "-m", "transfer", name, *map(str, paths + schedule), *TINY, *more]


def run(line: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=environment, timeout=900)


def records(folder: Path) -> list[Record]:
    found, warnings = read_records(folder / "records")
    assert warnings == []
    return found


def task(folder: Path, **changes: object) -> Task:
    settled = Task(VOC0712, "random-init", str(folder / "data"), str(folder), seed=0, limit=0, workers=0, device="cpu")
    return replace(settled, **changes)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        state = (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_another_batch_at_the_same_learning_rate_is_refused_with_the_remedy() -> None:
    named = PROTOCOLS["voc0712"]
    with pytest.raises(Refusal, match=r"images_per_batch is 8 instead of 16.*still 0.05.*--protocol.batch-divisor 2"):
        detectron2.check_batch(named, replace(named, images_per_batch=8))
    with pytest.raises(Refusal, match=r"images_per_batch is 32 instead of 16.*linear scaling gives 0.1\)"):
        detectron2.check_batch(named, replace(named, images_per_batch=32))
    detectron2.check_batch(named, replace(named, images_per_batch=8, base_lr=0.025))
    detectron2.check_batch(named, replace(named, batch_divisor=2))


def test_what_the_process_refuses_is_refused_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="VOC2007 does not exist; unpack the VOC2007 archives"):
        detectron2._run(task(tmp_path), "voc0712")


def test_gpus_that_are_not_there_are_refused(digits_root: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="64 GPUs are asked for and"):
        detectron2._run(task(tmp_path, data=str(digits_root / "VOCdevkit"), device="cuda", processes=64), "voc0712")


@pytest.mark.parametrize(
    ("device", "ranks", "message"),
    [("cuda", 3, "16 images a batch cannot be shared among 3 processes"), ("cpu", 2, "torch's SyncBN needs GPUs")],
)
def test_ranks_that_cannot_share_the_work_are_refused(device: str, ranks: int, message: str) -> None:
    from transfer.engines.detectron2_process import check_ranks

    with pytest.raises(Refusal, match=message):
        check_ranks(VOC0712, device, ranks)
    check_ranks(VOC0712, "cuda", 8)
    check_ranks(replace(VOC0712, norm="naiveSyncBN"), "cpu", 2)


def test_ranks_are_checked_before_anything_is_converted(digits_root: Path, tmp_path: Path) -> None:
    from transfer.engines import detectron2_process

    with pytest.raises(Refusal, match="SyncBN needs GPUs"):
        detectron2_process.run(task(tmp_path, data=str(digits_root / "VOCdevkit"), processes=2))
    assert list(tmp_path.iterdir()) == []


def test_a_crash_names_the_log_and_shows_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\necho one\necho 'CUDA out of memory' >&2\nexit 7\n")
    crashing.chmod(0o755)
    monkeypatch.setattr(child.sys, "executable", str(crashing))
    with pytest.raises(Refusal) as refusal:
        detectron2._run(task(tmp_path), "voc0712")
    assert "ended with status 7" in str(refusal.value)
    assert str(tmp_path / "engine.log") in str(refusal.value)
    assert str(refusal.value).endswith("CUDA out of memory\na smaller batch needs less: --protocol.batch-divisor 2")


def test_what_the_process_warns_of_is_said_here_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warning = tmp_path / "python"
    warning.write_text("#!/bin/sh\necho a line\necho 'warning: model_0000005.pth is damaged' >&2\n")
    warning.chmod(0o755)
    monkeypatch.setattr(child.sys, "executable", str(warning))
    detectron2._run(task(tmp_path), "voc0712")
    assert "warning: model_0000005.pth is damaged\n" in capsys.readouterr().err


def test_a_further_machine_has_nothing_to_do_where_the_first_one_has_its_results(tmp_path: Path) -> None:
    sealed.write_json(tmp_path / "results.json", {"metrics": {}})
    run = DetectionRun("x", nodes=2, node_rank=1, rendezvous="tcp://host:1")
    identity = CheckpointIdentity("a", "b", "c"), DatasetIdentity("voc0712", "digits", "f", {})
    assert detectron2.measure(Job("voc0712", VOC0712, run, *identity, tmp_path)).measurements == ()


def test_an_interrupted_command_ends_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeping = tmp_path / "python"
    sleeping.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\necho started\nexec sleep 60\n")
    sleeping.chmod(0o755)
    monkeypatch.setattr(child.sys, "executable", str(sleeping))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(detectron2.progress, "newest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        detectron2._run(task(tmp_path), "voc0712")
    assert not alive(int((tmp_path / "pid").read_text()))


@pytest.mark.engine
def test_mask_rcnn_trains_evaluates_and_fills_both_coco_cells(digits_root: Path, tmp_path: Path) -> None:
    line = command("coco-demo", digits_root, tmp_path)
    done = run(line)
    assert done.returncode == 0, done.stderr
    found = {record.cell: record for record in records(tmp_path)}
    assert set(found) == {"table2/coco_det/AP", "table2/coco_seg/AP"}
    for record in found.values():
        details = record.measurement.details
        assert {"AP", "AP50", "AP75", "APs", "APm", "APl"} <= set(details["metrics"]["bbox"])
        assert set(details["metrics"]["bbox"]) == set(details["metrics"]["segm"])
        assert details["iterations"] == 2
        assert "318 of 318 tensors matched" in details["conversion"][0]
        assert record.dataset.corpus == "digits"
        assert not record.resumed
        assert set(record.attachments) == {"picture", "predictions", "log"}
        assert all((tmp_path / "records" / path).is_file() for path in record.attachments.values())

    # Again: nothing to do, at once and without torch. With one record gone: that one alone, from the run folder.
    program = f"import sys, runpy; sys.argv = {line[2:]!r}\n"
    program += "try: runpy.run_module('transfer', run_name='__main__')\nfinally: assert 'torch' not in sys.modules\n"
    again = run([sys.executable, "-c", program])
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("done already") == 2
    gone = next((tmp_path / "records").glob("table2.coco_seg*.json"))
    gone.unlink()
    results = next((tmp_path / "out").glob("*/results.json"))
    before = results.stat().st_mtime_ns
    assert run(line).returncode == 0
    assert set(found) == {record.cell for record in records(tmp_path)}
    assert results.stat().st_mtime_ns == before


@contextmanager
def started(line: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(line, cwd=ROOT, stdout=output, stderr=output, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    direct = [int(word) for word in found.stdout.split()]
    return direct + [one for child in direct for one in children_of(child)]


@pytest.mark.slow
@pytest.mark.engine
def test_a_killed_run_goes_on_where_it_was_and_a_second_one_beside_it_is_refused(
    digits_root: Path, tmp_path: Path
) -> None:
    line = command("voc0712-demo", digits_root, tmp_path, "--run.checkpoint-iterations", "1", iterations=6)
    with started(line, tmp_path / "first.log") as first:
        checkpoint = "*/model_0000002.pth"
        assert wait_until(lambda: list((tmp_path / "out").glob(checkpoint)) or first.poll() is not None, 300)
        second = run(line)
        assert second.returncode == 2
        assert f"is in use by process {first.pid} (" in second.stderr
        processes = children_of(first.pid)
        assert processes
        first.send_signal(signal.SIGKILL)
        assert wait_until(lambda: not any(alive(pid) for pid in processes), 15)
    assert records(tmp_path) == []

    done = run(line)
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path)
    assert record.resumed
    assert record.measurement.details["iterations"] == 6
    metrics = next((tmp_path / "out").glob("*/metrics.jsonl")).read_text().splitlines()
    iterations = [json.loads(one)["iteration"] for one in metrics if "total_loss" in one]
    assert iterations[-1] == 5
    assert len(set(iterations)) == 6

    assert run(command("voc0712-demo", digits_root, tmp_path / "whole", iterations=6)).returncode == 0
    resumed, undisturbed = final_weights(tmp_path), final_weights(tmp_path / "whole")
    assert all(torch.equal(resumed[name], tensor) for name, tensor in undisturbed.items())


@pytest.mark.slow
@pytest.mark.engine
def test_a_run_killed_while_it_measured_trains_no_more_and_ends_with_the_same_record(
    digits_root: Path, tmp_path: Path
) -> None:
    line = command("voc0712-demo", digits_root, tmp_path, "--run.checkpoint-iterations", "1", iterations=4)
    assert run(line).returncode == 0
    (whole,), weights = records(tmp_path), final_weights(tmp_path)
    (folder,) = (tmp_path / "out").iterdir()
    # Of the five checkpoints written the last two and the final one stay, each with its digest.
    kept = ["model_0000002.pth", "model_0000003.pth", "model_final.pth"]
    assert sorted(path.name for path in folder.glob("model_*")) == sorted(kept + [f"{name}.sha256" for name in kept])

    # As if killed between the last step's checkpoint and the final one.
    for path in [*(tmp_path / "records").glob("*.json"), folder / "results.json", *folder.glob("model_final*")]:
        path.unlink()
    (folder / "last_checkpoint").write_text("model_0000003.pth")
    done = run(line)
    assert done.returncode == 0, done.stderr
    (again,) = records(tmp_path)
    assert again.resumed
    assert again.measurement == whole.measurement
    assert again.measurement.details["iterations"] == 4
    found = final_weights(tmp_path)
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())

    # The proof of a finished run is damaged: the weights are converted and proven anew, and no training is lost.
    (tmp_path / "records" / next((tmp_path / "records").glob("*.json")).name).unlink()
    proof = folder / "proof.json"
    proof.write_bytes(proof.read_bytes()[:-9])
    done = run(line)
    assert done.returncode == 0 and f"warning: {proof} is damaged" in done.stderr, done.stderr
    assert records(tmp_path)[0].measurement == whole.measurement


def final_weights(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = (folder / "out").glob("*/model_final.pth")
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["model"]
    return weights


@pytest.mark.slow
@pytest.mark.engine
def test_a_run_folder_of_another_checkpoint_is_refused(digits_root: Path, tmp_path: Path) -> None:
    line = command("coco-demo", digits_root, tmp_path)
    assert run(line).returncode == 0
    identity = next((tmp_path / "out").glob("*/identity.json"))
    identity.write_text(json.dumps({**json.loads(identity.read_text()), "checkpoint_sha256": "f" * 64}))
    for record in (tmp_path / "records").glob("*.json"):
        record.unlink()
    refused = run(line)
    assert refused.returncode == 2
    assert "holds a run with checkpoint_sha256 'ffff" in refused.stderr
    assert records(tmp_path) == []


def meeting_place() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.distributed
def test_two_machines_train_one_detector_and_write_one_record(digits_root: Path, tmp_path: Path) -> None:
    norms = ("--protocol.norm", "naiveSyncBN", "--protocol.fpn-norm", "naiveSyncBN")
    line = command("coco-demo", digits_root, tmp_path, *norms, "--run.nodes", "2", "--run.rendezvous", meeting_place())
    with started([*line, "--run.node-rank", "1"], tmp_path / "second.log") as second:
        first = run(line)
        assert first.returncode == 0, first.stderr + (tmp_path / "second.log").read_text()
        assert second.wait(60) == 0, (tmp_path / "second.log").read_text()
    found = records(tmp_path)
    assert {record.cell for record in found} == {"table2/coco_det/AP", "table2/coco_seg/AP"}
    assert [record.measurement.details["processes"] for record in found] == [2, 2]
    # Each machine looked at half of the test images; the detections of both were gathered.
    attached = tmp_path / "records" / found[0].attachments["predictions"]
    with np.load(attached) as content:
        assert len(content["image_ids"]) == found[0].measurement.sample_count


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.distributed
@pytest.mark.parametrize("fault", ["unreadable image", "another seed"])
def test_what_one_of_several_machines_refuses_is_one_line(
    fault: str, copy_digits: Callable[..., Path], tmp_path: Path
) -> None:
    root = copy_digits("coco")
    seed = "1" if fault == "another seed" else "0"
    if fault == "unreadable image":
        for path in (root / "coco" / "val2017").iterdir():
            path.write_bytes(path.read_bytes()[:300])
    norms = ("--protocol.norm", "naiveSyncBN", "--protocol.fpn-norm", "naiveSyncBN", "--run.skip-doctor")
    line = command("coco-demo", root, tmp_path, *norms, "--run.nodes", "2", "--run.rendezvous", meeting_place())
    with started([*line, "--run.node-rank", "1", "--run.seed", seed], tmp_path / "second.log"):
        first = run(line)
    assert first.returncode == 2
    said = [text for text in first.stderr.splitlines() if "iteration" not in text and "evaluation" not in text]
    assert len(said) == 1 and said[0].startswith("error: "), first.stderr
    assert ("val2017" if fault == "unreadable image" else "start the same command on all of them") in said[0]


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize("gpus", [1, 2])
@pytest.mark.parametrize("name", ["voc0712-demo", "coco-demo"])
def test_gpus_train_with_batch_norms_shared_among_them(name: str, gpus: int, digits_root: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.device_count() < gpus:
        pytest.skip(f"{torch.cuda.device_count()} GPUs, {gpus} needed")
    done = run(command(name, digits_root, tmp_path, "--run.device", "cuda", "--run.gpus", str(gpus)))
    assert done.returncode == 0, done.stderr
    for record in records(tmp_path):
        assert record.measurement.details["processes"] == gpus
        assert f"{gpus} x " in record.hardware
