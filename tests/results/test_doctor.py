"""The doctor's findings, one by one, and its list."""

import json
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from evaluate.weights import KNOWN_WEIGHTS, RANDOM_INIT, resolve
from results.checkpoints import checkpoint_digest, known_names
from results.doctor import (
    Finding,
    before_work,
    checkpoint_file,
    data_set,
    data_sets,
    environment,
    examine,
    machine,
    show,
)
from results.stages import STAGES, Stage, stage_of


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file that starts as those of torch.save do."""
    path = tmp_path / "resnet50.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("resnet50/data.pkl", b"x")
    return path


def test_a_checkpoint_with_its_card_is_well(weights: Path) -> None:
    import hashlib

    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.with_name("resnet50.pth.json").write_text(json.dumps({"sha256": digest}))
    found = checkpoint_file(str(weights))
    assert found.state == "ok" and digest[:12] in found.text


def test_a_card_of_another_file_is_a_problem(weights: Path) -> None:
    weights.with_name("resnet50.pth.json").write_text(json.dumps({"sha256": "0" * 64}))
    assert checkpoint_file(str(weights)).state == "problem"
    weights.with_name("resnet50.pth.json").write_text("[1")
    assert checkpoint_file(str(weights)).state == "warning"


@pytest.mark.parametrize(
    ("content", "state"), [(b"<!doctype html>", "problem"), (b"", "problem"), (pickle.dumps({}), "ok")]
)
def test_a_download_that_became_a_web_page_is_told_from_a_checkpoint(
    tmp_path: Path, content: bytes, state: str
) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    assert checkpoint_file(str(tmp_path / "w.pth")).state == state


def test_a_missing_checkpoint_is_a_problem_and_a_known_name_is_not(tmp_path: Path) -> None:
    assert checkpoint_file(str(tmp_path / "none.pth")).state == "problem"
    assert checkpoint_file("random-init").state == "ok"


def test_a_name_that_is_neither_file_nor_known_is_a_problem_and_the_known_ones_are_listed() -> None:
    found = checkpoint_file("vicreg-resnet5")
    assert found.state == "problem" and "vicreg-resnet5 does not exist" in found.text
    assert "vicreg-resnet50" in found.text and "torchvision-supervised" in found.text


def test_the_known_names_are_those_of_the_room_that_resolves_them() -> None:
    assert known_names() == (RANDOM_INIT, *KNOWN_WEIGHTS)


def test_safetensors_files_are_weights_too(tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert checkpoint_file(str(path)).state == "ok"


def test_a_part_of_a_file_is_that_file_with_the_digest_that_the_evaluate_room_gives_it(weights: Path) -> None:
    assert checkpoint_file(f"{weights}#teacher").state == "ok"
    assert checkpoint_file(f"{weights}.none#teacher").state == "problem"
    for checkpoint in (f"{weights}#teacher", str(weights), "random-init"):
        assert checkpoint_digest(checkpoint) == resolve(checkpoint).sha256


def test_missing_packages_are_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.doctor.NEEDED", ("numpy", "no-such-package"))
    found = environment(STAGES)
    assert any(f.state == "problem" and "no-such-package; run `make setup`" in f.text for f in found)
    assert any(f.state == "ok" and f.text.startswith("numpy ") for f in found)


def test_a_missing_engine_is_a_warning_where_transfer_stages_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.doctor.ENGINES", {"no_such_engine": "coco"})
    knn = stage_of("table5/knn_20/top1")
    assert knn is not None
    assert any("no_such_engine is not installed (coco)" in f.text for f in environment(STAGES))
    assert not any("no_such_engine" in f.text for f in environment([knn]))


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.doctor.free_disk_gib", lambda folder: 3.0)
    disk, _ = machine(tmp_path, 10.5)
    assert disk.state == "problem" and disk.text.startswith("3.0 GiB free")


def test_a_disk_with_hardly_anything_left_is_a_problem_whatever_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results.doctor.free_disk_gib", lambda folder: 0.2)
    disk, _ = machine(tmp_path, 0.0)
    assert disk.state == "problem"


def test_a_demo_does_not_ask_for_the_disk_that_the_papers_size_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results.doctor.free_disk_gib", lambda folder: 5.0)
    roots = dict.fromkeys(("imagenet", "places205", "inat18", "voc", "coco"), tmp_path)
    knn = [stage for stage in STAGES if stage.protocol == "knn"]

    def disk(stages: Sequence[Stage], full_size: bool) -> str:
        found = examine(roots, "", tmp_path, stages, full_size=full_size)
        return next(f"{finding.state}: {finding.text}" for finding in found if "GiB free" in finding.text)

    monkeypatch.setattr("results.doctor.data_sets", lambda roots, stages: [])
    assert disk(STAGES, True).startswith("problem")
    assert disk(knn, True) == f"problem: 5.0 GiB free below {tmp_path}, 10.5 needed"
    assert disk(STAGES, False) == f"ok: 5.0 GiB free below {tmp_path}, 3.6 needed"
    assert disk(knn, False).startswith("ok")


def test_one_command_needs_what_its_own_stage_writes_and_only_at_full_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results.doctor.free_disk_gib", lambda folder: 3.0)

    def problems(protocol: str, full_size: bool) -> list[str]:
        findings = before_work(protocol, tmp_path, "", (), full_size=full_size)
        return [finding.text for finding in findings if finding.state == "problem"]

    assert problems("linear", True) == []
    assert problems("knn", True) == [f"3.0 GiB free below {tmp_path}, 10.5 needed"]
    assert problems("knn-demo", False) == []


def test_a_missing_gpu_is_worth_a_word_at_full_size_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.doctor.shutil.which", lambda name: None)
    of_size = {
        full: [f.text for f in before_work("linear", tmp_path, "", (), full_size=full) if f.area == "environment"]
        for full in (True, False)
    }
    assert any("no NVIDIA GPU" in text for text in of_size[True])
    assert of_size[False] == []


def test_little_memory_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.doctor.host_memory_gib", lambda: (16.0, 2.0))
    _, memory = machine(tmp_path, 0.0)
    assert memory.state == "warning" and "2 of 16 GiB" in memory.text


def test_each_data_set_is_examined_by_the_data_room(beside_stand_ins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SICK", "imagenet_1pct")
    found = data_sets({"imagenet": beside_stand_ins}, STAGES)
    assert [f.state for f in found] == ["ok", "problem", "ok"]
    assert "imagenet_1pct: val count: 7 images, expected 50,000; all of it: python -m data doctor" in found[1].text


def test_of_a_real_data_set_the_worst_is_told_and_not_the_first(
    copy_digits: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_digits("coco") / "two words"
    (root.parent / "coco").rename(root)
    next((root / "val2017").iterdir()).unlink()
    monkeypatch.chdir(Path(__file__).parents[2])
    found = data_set("coco", root)
    assert found.state == "problem" and "do not exist; all of it: python -m data doctor" in found.text
    assert found.text.endswith(f"--root '{root}'")
    assert data_set("coco", tmp_path / "none").text.startswith("coco: layout: ")
    assert data_set("cocoa", root).state == "problem"


def test_the_list_ends_with_the_count_of_problems_which_is_the_status() -> None:
    lines: list[str] = []
    findings = [
        Finding("data", "ok", "fine"),
        Finding("machine", "problem", "no disk"),
        Finding("data", "warning", "old"),
    ]
    assert show(findings, lines.append) == 1
    assert lines == ["✓ data         fine", "✗ machine      no disk", "! data         old", "1 problem found"]
    assert show(findings[:1], lines.append) == 0 and lines[-1] == "no problems found"


def test_without_data_and_checkpoint_only_environment_and_machine_are_looked_at(tmp_path: Path) -> None:
    assert {finding.area for finding in examine({}, "", tmp_path)} == {"environment", "machine"}


@pytest.mark.parametrize("body", ["#!/bin/sh\nexec sleep 30\n", "no program at all"])
def test_a_driver_that_does_not_answer_is_a_warning(body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(body)
    program.chmod(0o755)
    monkeypatch.setattr("results.doctor.shutil.which", lambda name: str(program))
    monkeypatch.setattr("results.doctor.GPU_SECONDS", 0.5)
    found = environment(())[-1]
    assert found.state == "warning" and f"{program} does not answer (" in found.text


def test_a_folder_that_cannot_be_written_is_a_problem() -> None:
    assert [finding.state for finding in machine(Path("/dev/null/runs"), 0.0)] == ["problem"]


def test_a_checkpoint_copied_in_part_is_a_problem(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-30])
    found = checkpoint_file(str(weights))
    assert found.state == "problem" and "copied or downloaded in part" in found.text
