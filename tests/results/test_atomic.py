"""Files appear whole or not at all."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from results.atomic import atomic_file, write_bytes, write_text
from results.refusal import Refusal


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "größer")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "größer".encode()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_a_file_may_be_read_by_whoever_may_read_others(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"")
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_an_interrupted_writing_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "before")
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "a") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert (tmp_path / "a").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_is_a_refusal_that_names_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Refusal, match=r"cannot write .*b\.txt: No space left on device; free space"):
        write_text(tmp_path / "b.txt", "text")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_kind_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a mistake"), atomic_file(tmp_path / "b"):
        raise RuntimeError("a mistake")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="choose another folder"):
        write_text(tmp_path / "file" / "b.txt", "text")


def test_what_a_killed_writer_left_is_taken_away_by_the_next_write_and_a_living_ones_is_not(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from results.atomic import atomic_file\n"
        "with atomic_file(Path(sys.argv[1]) / 'state') as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=Path(__file__).parents[2], check=False)
    assert len(list(tmp_path.glob(".state.*.partial"))) == 1
    with atomic_file(tmp_path / "slow") as file:
        file.write(b"whole")
        write_text(tmp_path / "quick", "beside it")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quick", "slow"]
