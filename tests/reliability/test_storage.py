"""Storage faults: the last good state survives and is used, the message names the file, nothing is half written.

Each kind of file that a later command believes is written, harmed in one way at a time, and read again.
"""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data import fingerprint
from data.fingerprint import Fingerprint
from evaluate import job as evaluation
from evaluate.features import FeatureStore
from evaluate.job import Outcome, read_outcome, write_outcome
from evaluate.probe_state import Position, load_state, save_state
from pretrain import checkpoint
from pretrain.card import card_path, is_whole
from results import sealed
from results.records import CheckpointIdentity, DatasetIdentity, Measurement, Record, read_records, write_record
from results.refusal import Refusal
from transfer.engines import detectron2, vissl, vissl_compat
from transfer.engines.whole_checkpoints import for_detectron2, for_vissl
from transfer.svm_files import (
    ClassResult,
    SvmSettings,
    read_input,
    read_results,
    read_settings,
    write_input,
    write_result,
)

ROOT = Path(__file__).parents[2]
SVM = SvmSettings(("cat",), (0.1, 1.0), 2, 2.0, 1.0, 1e-4, 100, 1e-5)
tried = {"truncations": 0, "flipped bits": 0, "refused writes": 0}


def harms(size: int) -> Iterator[tuple[str, Callable[[bytes], bytes]]]:
    """Truncation at 0, 1, half and the last byte, and one flipped bit at eleven places, first and last bit included."""
    for cut in sorted({0, 1, size // 2, size - 1}):
        tried["truncations"] += 1
        yield f"cut at {cut} of {size}", lambda content, cut=cut: content[:cut]
    for place in sorted({size * tenth // 10 for tenth in range(10)} | {size - 1}):
        for bit in (0, 7):
            tried["flipped bits"] += 1
            yield (
                f"bit {bit} of byte {place} of {size}",
                lambda content, place=place, bit=bit: (
                    content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]
                ),
            )


@contextmanager
def harmed(path: Path, harm: Callable[[bytes], bytes]) -> Iterator[None]:
    """The file at `path` with damage while the block runs, and as it was afterwards."""
    content = path.read_bytes()
    path.write_bytes(harm(content))
    try:
        yield
    finally:
        path.write_bytes(content)


def state(step: int) -> dict[str, Any]:
    return {"step": step, "weight": torch.full((64,), float(step)), "note": {"a": [1, "b"]}}


def test_a_damaged_pretraining_state_or_card_gives_way_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier, later = (checkpoint.save_state(tmp_path, state(step), {"label": "x"}, keep=3) for step in (1, 2))
    for file in (later, card_path(later)):
        for what, harm in harms(file.stat().st_size):
            with harmed(file, harm):
                if file != later and is_whole(later):
                    continue  # a bit in the name of the digest's key changes nothing that the card says
                assert checkpoint.last_state(tmp_path) == earlier, what
            assert str(later) in capsys.readouterr().err, what
    assert checkpoint.last_state(tmp_path) == later
    assert torch.equal(checkpoint.load_state(earlier)["weight"], torch.full((64,), 1.0))


def test_a_damaged_backbone_is_not_taken_for_a_finished_run(tmp_path: Path) -> None:
    path = tmp_path / "resnet50.pth"
    checkpoint.save_backbone(path, {"conv1.weight": torch.randn(4, 3, 7, 7)}, {"label": "VICReg"})
    assert is_whole(path)
    for what, harm in harms(path.stat().st_size):
        with harmed(path, harm):
            assert not is_whole(path), what


def test_a_damaged_probe_state_gives_way_to_the_one_before_and_then_to_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = torch.nn.Linear(8, 3)
    optimizer = torch.optim.SGD(heads.parameters(), lr=0.1, momentum=0.9)
    for step in (5, 9):
        with torch.no_grad():
            heads.weight.fill_(step)
        save_state(tmp_path, Position(step, 1.0, [{"epoch": 1}]), heads, optimizer, None)
    earlier, later = sorted((tmp_path / "checkpoints").glob("*.pt"))
    for what, harm in harms(later.stat().st_size):
        with harmed(later, harm):
            assert load_state(tmp_path, heads, optimizer, None).step == 5, what
            assert float(heads.weight[0, 0].detach()) == 5.0
        assert str(later) in capsys.readouterr().err
    with harmed(later, lambda _: b""), harmed(earlier, lambda _: b""):
        assert load_state(tmp_path, heads, optimizer, None) == Position()
    assert load_state(tmp_path, heads, optimizer, None).step == 9


def test_a_damaged_shard_of_features_is_never_read(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 40, 16)
    store.write(0, np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32))
    rows = store.all_rows()
    for file in (tmp_path / "00000.f32", tmp_path / "00000.json"):
        for what, harm in harms(file.stat().st_size):
            with harmed(file, harm):
                # White space around the digest means nothing; what is believed is what was written.
                assert not store.is_intact(0) or torch.equal(store.all_rows(), rows), what
    assert store.is_intact(0)


def record(value: float = 73.2, seed: int = 0) -> Record:
    return Record(
        measurement=Measurement("table1/linear/top1", value, 50_000),
        checkpoint=CheckpointIdentity("a" * 64, "resnet50.pth", "VICReg"),
        dataset=DatasetIdentity("imagenet", "official", "fingerprint", {"train": 1_281_167, "val": 50_000}),
        protocol="linear", protocol_hash="h", protocol_settings={"epochs": 100}, deviations=(), seed=seed,
        commit="0" * 40, versions={"python": "3.11"}, hardware="a processor", wall_time_seconds=1.0,
        command="python -m evaluate linear", created="2026-01-01T00:00:00.000+00:00",
    )  # fmt: skip


def test_a_damaged_record_is_named_and_never_another_number(tmp_path: Path) -> None:
    good, other = write_record(record(seed=1), tmp_path), write_record(record(), tmp_path)
    for what, harm in harms(other.stat().st_size):
        with harmed(other, harm):
            records, warnings = read_records(tmp_path)
            if len(records) == 2:  # white space was harmed
                assert record() in records, what
                continue
            assert records == [record(seed=1)], what
            assert len(warnings) == 1 and other.name in warnings[0] and "\n" not in warnings[0]
    assert good.exists()


def test_a_damaged_outcome_or_its_predictions_are_measured_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions = tmp_path / "predictions-final.npz"
    predictions.write_bytes(os.urandom(500))
    cell = "table1/linear/top1"
    outcome = Outcome((Measurement(cell, 73.2, 50_000),), {cell: predictions.name}, 12.5)
    write_outcome(tmp_path, outcome)
    result = tmp_path / evaluation.RESULT_FILE
    for file in (result, predictions):
        for what, harm in harms(file.stat().st_size):
            (tmp_path / "checkpoints").mkdir(exist_ok=True)
            with harmed(file, harm):
                found = read_outcome(tmp_path)
                assert found is None or (file == result and found == outcome), what
            assert found is not None or str(file) in capsys.readouterr().err, what
            # A whole state stands for a damaged outcome, but not for lost predictions.
            assert (tmp_path / "checkpoints").exists() == (file == result)
    assert read_outcome(tmp_path) == outcome


def test_damaged_files_of_the_svms_are_trained_or_extracted_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    rows = random.standard_normal((12, 4)).astype(np.float32), np.array([[1], [0]] * 6, np.int32)
    write_input(tmp_path, SVM, rows, rows)
    settings = read_settings(tmp_path)
    write_result(tmp_path, settings, ClassResult("cat", 0.5, 1.0, [0.4, 0.5]))
    kept = read_results(tmp_path, settings)
    result = tmp_path / "classes" / "cat.json"
    for what, harm in harms(result.stat().st_size):
        with harmed(result, harm):
            assert read_results(tmp_path, settings) in ({}, kept), what
    assert str(result) in capsys.readouterr().err
    for file in (tmp_path / "input.json", tmp_path / "train_features.npy", tmp_path / "test_labels.npy"):
        for what, harm in harms(file.stat().st_size):
            with harmed(file, harm):
                try:
                    found = read_input(tmp_path)
                except Refusal as refusal:
                    assert str(tmp_path) in str(refusal), what
                else:  # spaces between numbers may change, numbers may not
                    assert found.settings == settings and np.array_equal(found.train, rows[0]), what


def test_a_damaged_fingerprint_is_found_again_and_never_believed(tmp_path: Path) -> None:
    cache, kept = tmp_path / "cache.json", Fingerprint("ab" * 32, {"train": 3})
    fingerprint._write_cache(cache, "stamp", kept)
    for what, harm in harms(cache.stat().st_size):
        with harmed(cache, harm):
            assert fingerprint._read_cache(cache, "stamp") in (None, kept), what
    assert fingerprint._read_cache(cache, "stamp") == kept


def test_damaged_checkpoints_of_vissl_give_way_to_the_one_before_and_then_to_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def saved() -> tuple[Path, Path]:
        for epoch in (0, 1):
            vissl_compat.save_atomically(str(tmp_path), {"epoch": torch.full((9,), epoch)}, f"model_phase{epoch}.torch")
        (tmp_path / "checkpoint.torch").unlink(missing_ok=True)
        (tmp_path / "checkpoint.torch").symlink_to("model_phase1.torch")
        return tmp_path / "model_phase0.torch", tmp_path / "model_phase1.torch"

    earlier, later = saved()
    for what, harm in harms(later.stat().st_size):
        later.write_bytes(harm(later.read_bytes()))
        for_vissl(tmp_path)
        assert earlier.exists() and not later.exists(), what
        assert str(later) in capsys.readouterr().err, what
        saved()
    for file in (earlier, later):
        file.write_bytes(b"")
    for_vissl(tmp_path)
    assert list(tmp_path.iterdir()) == [], "a dead link would be taken for a checkpoint"


def test_damaged_metrics_of_a_finished_vissl_run_are_not_believed(tmp_path: Path) -> None:
    metrics = tmp_path / "vissl" / "metrics.json"
    metrics.parent.mkdir()
    text = '{"train_phase_idx": 0, "test_accuracy_list_meter": {"top_1": {"res5avg": 41.5}}}\n'
    for what, harm in harms(len(text)):
        metrics.parent.mkdir(exist_ok=True)
        metrics.write_text(text)
        sealed.seal(metrics)
        assert vissl.is_finished(metrics)
        metrics.write_bytes(harm(metrics.read_bytes()))
        assert not vissl.is_finished(metrics), what
        assert not metrics.exists()


@pytest.mark.parametrize("name", ["results.json", "proof.json"])
def test_damaged_results_or_proof_of_detectron2_are_found_again_from_the_last_checkpoint(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    written = {"metrics": {"bbox": {"AP50": 82.4}}, "test_images": 4952, "lines": ["318 of 318 tensors matched"]}
    sealed.write_json(file, written)
    content = file.read_bytes()
    for what, harm in harms(len(content)):
        file.write_bytes(harm(content))
        if detectron2._is_whole(file):  # white space was harmed
            assert sealed.read_json(file) == written, what
            continue
        assert not file.exists(), what
        assert str(file) in capsys.readouterr().err, what


def test_damaged_converted_weights_are_converted_anew(tmp_path: Path) -> None:
    weights = tmp_path / "weights.torch"
    torch.save({"w": torch.randn(50)}, weights)
    assert sealed.damage(weights), "what was never sealed was never finished"
    sealed.seal(weights)
    assert not sealed.damage(weights)
    for what, harm in harms(weights.stat().st_size):
        with harmed(weights, harm):
            assert str(weights) in sealed.damage(weights), what


def test_damaged_checkpoints_of_detectron2_give_way_to_the_one_before_and_then_to_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier, later = tmp_path / "model_0000099.pth", tmp_path / "model_0000199.pth"

    def saved() -> None:
        for path in (earlier, later):
            torch.save({"iteration": int(path.stem[6:])}, path)
            sealed.seal(path)
        (tmp_path / "last_checkpoint").write_text(later.name)

    saved()
    for_detectron2(tmp_path)
    assert (tmp_path / "last_checkpoint").read_text() == later.name
    for what, harm in harms(later.stat().st_size):
        later.write_bytes(harm(later.read_bytes()))
        for_detectron2(tmp_path)
        assert (tmp_path / "last_checkpoint").read_text() == earlier.name and not later.exists(), what
        assert str(later) in capsys.readouterr().err
        saved()
    for damaged_note in (b"", b"\xff", b"model_0000299.pth"):
        (tmp_path / "last_checkpoint").write_bytes(damaged_note)
        for_detectron2(tmp_path)
        assert (tmp_path / "last_checkpoint").read_text() == later.name
    for file in (earlier, later):
        file.write_bytes(b"")
    for_detectron2(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.engine
def test_detectron2s_trainer_seals_what_it_saves_and_leaves_no_half_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transfer.engines import detectron2_compat

    detectron2_compat.prepare()
    from detectron2.engine import defaults

    monkeypatch.setattr(defaults, "DetectionCheckpointer", defaults.DetectionCheckpointer)
    detectron2_compat.seal_checkpoints()
    saver = defaults.DetectionCheckpointer(torch.nn.Linear(3, 3), str(tmp_path))
    saver.save("model_0000001", iteration=1)
    assert not sealed.damage(tmp_path / "model_0000001.pth")

    def full(_: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(Refusal, match=r"cannot write .*model_0000002\.pth: .*No space left"):
        saver.save("model_0000002", iteration=2)
    for_detectron2(tmp_path)
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000001.pth"
    assert not list(tmp_path.glob("*2.pth*"))


# What writes, by name: each writes a first file with `write(0)`, and later ones beside it.
def writers(folder: Path) -> dict[str, Callable[[int], object]]:
    heads = torch.nn.Linear(8, 3)
    optimizer = torch.optim.SGD(heads.parameters(), lr=0.1)
    store = FeatureStore(folder, 4 * 2048, 4)
    return {
        "pretraining state": lambda n: checkpoint.save_state(folder, state(n), {}, keep=9),
        "backbone": lambda n: checkpoint.save_backbone(folder / f"resnet50-{n}.pth", {"w": torch.ones(9)}, {}),
        "probe state": lambda n: save_state(folder, Position(n), heads, optimizer, None),
        "features": lambda n: store.write(n, np.zeros((2048, 4), np.float32)),
        "record": lambda n: write_record(record(seed=n), folder),
        "outcome": lambda n: write_outcome(folder / str(n), Outcome((), {}, 1.0)),
        "class of the SVMs": lambda n: write_result(folder / str(n), SVM, ClassResult("cat", 0.5, 1.0, [0.4])),
        "VISSL checkpoint": lambda n: vissl_compat.save_atomically(str(folder), {}, f"model_phase{n}.torch"),
    }


WRITERS = tuple(writers(Path()))


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def raising(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


FAULTS: dict[str, tuple[str, int]] = {
    "disk full at fsync": ("os.fsync", errno.ENOSPC),
    "quota at fsync": ("os.fsync", errno.EDQUOT),
    "input/output error at fsync": ("os.fsync", errno.EIO),
    "no temporary file": ("tempfile.mkstemp", errno.ENOSPC),
    "read-only file system": ("tempfile.mkstemp", errno.EROFS),
    "permission denied": ("tempfile.mkstemp", errno.EACCES),
    "a rename that fails": ("pathlib.Path.replace", errno.EIO),
    "a rename without space": ("pathlib.Path.replace", errno.ENOSPC),
    "a folder that cannot be made": ("pathlib.Path.mkdir", errno.EACCES),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_write_that_fails_is_one_line_and_leaves_what_was_there(
    writer: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = writers(tmp_path)[writer]
    write(0)
    before = files_in(tmp_path)
    seam, number = FAULTS[fault]
    with monkeypatch.context() as patched:
        patched.setattr(seam, raising(number))
        with pytest.raises(Refusal, match=rf"cannot write {tmp_path}.*{os.strerror(number)}") as refused:
            write(1)
    tried["refused writes"] += 1
    assert "\n" not in str(refused.value)
    assert files_in(tmp_path) == before, "something half written stayed"
    write(2)


FULL_DISK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_storage
from results.refusal import run_command_line
write = test_storage.writers(Path(sys.argv[1]))[sys.argv[2]]
write(0)
print("first", flush=True)
sys.stdin.readline()
run_command_line(lambda: write(1) and None)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB of its own, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root, outside of containers")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("writer", ["pretraining state", "record", "probe state"])
def test_a_disk_that_is_really_full_is_one_line_and_leaves_what_was_there(writer: str, small_disk: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(small_disk), writer, str(Path(__file__).parent)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "first\n"
        before = files_in(small_disk)
        with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
        said = process.communicate("\n", timeout=120)[1]
    assert process.returncode == 2
    assert said.startswith(f"error: cannot write {small_disk}") and "No space left" in said and said.count("\n") == 1
    (small_disk / "filler").unlink()
    assert files_in(small_disk) == before


def test_the_counts_are_as_they_were_tried(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\nstorage: " + ", ".join(f"{count} {what}" for what, count in tried.items()) + "; nothing lost")
    if "PYTEST_XDIST_WORKER" not in os.environ:  # of several workers each has tried its share
        assert tried["refused writes"] in (0, len(FAULTS) * len(WRITERS))
