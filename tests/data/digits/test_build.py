"""The digits corpus: complete, the same bytes for the same seed, whole or not at all."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data import marker
from data.digits import build
from results.refusal import Refusal


def digest(root: Path) -> str:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    parts = [f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def test_the_corpus_is_built_once_and_found_whole_the_second_time(digits_root: Path) -> None:
    before = (digits_root / "CORPUS.json").stat().st_mtime_ns
    found, written = build.build(digits_root, seed=0)
    assert not written
    assert (digits_root / "CORPUS.json").stat().st_mtime_ns == before
    assert found.counts["imagenet"] == {"train": 1437, "val": 360}
    assert not list(digits_root.glob(".*"))


def test_a_killed_build_looks_unfinished_and_is_begun_anew(digits_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-m", "data", "digits", "--root", str(root)])
    try:
        while not (root / "imagenet" / "val").is_dir():
            assert child.poll() is None
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
    finally:
        child.wait()
    assert marker.find_marker(root) is None
    assert build.count_files(root) > 0
    # What an older, different build left behind must not survive either.
    (root / "imagenet" / "train" / "stale.JPEG").parent.mkdir(parents=True, exist_ok=True)
    (root / "imagenet" / "train" / "stale.JPEG").touch()
    assert build.build(root, seed=0)[1]
    assert digest(root) == digest(digits_root)


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(Refusal, match="holds something else"):
        build.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="holds something else"):
        build.build(tmp_path / "file")


def test_the_corpus_of_another_seed_is_refused(digits_root: Path) -> None:
    with pytest.raises(Refusal, match="corpus of seed 0, not 5"):
        build.build(digits_root, seed=5)


def test_a_corpus_with_a_file_missing_is_refused_with_the_remedy(digits_root: Path, tmp_path: Path) -> None:
    shutil.copytree(digits_root / "coco", tmp_path / "coco")
    shutil.copyfile(digits_root / "CORPUS.json", tmp_path / "CORPUS.json")
    with pytest.raises(Refusal, match=r"holds \d+ of \d+ files of its corpus; delete it and run again"):
        build.build(tmp_path, seed=0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Refusal, match="cannot write the corpus"):
        build.build(tmp_path / "digits")
    tmp_path.chmod(0o700)


def test_a_full_disk_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Refusal, match="No space left on device; free space"):
        build.build(tmp_path / "digits")
    assert not (tmp_path / "digits" / "CORPUS.json").exists()


def test_two_builders_at_once_make_one_corpus_and_the_same_seed_gives_the_same_bytes(
    tmp_path: Path, digits_root: Path
) -> None:
    command = [sys.executable, "-m", "data", "digits", "--root", str(tmp_path / "both")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert sorted("wrote" in text for text in printed) == [False, True]
    assert digest(tmp_path / "both") == digest(digits_root)
