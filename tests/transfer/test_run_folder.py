"""A run folder is one job's, and one process's at a time."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from results.refusal import Refusal
from transfer.run import LinearRun, Run
from transfer.run_folder import open_run_folder

IDENTITY = {"protocol": "places205", "checkpoint_sha256": "ab"}
HOLD = """
import sys, time
from pathlib import Path
from transfer.run_folder import open_run_folder
with open_run_folder(Path(sys.argv[1]), {"protocol": "places205", "checkpoint_sha256": "ab"}):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    "work", ["model_0000001.pth", "results.json", "vissl/model_phase0.torch", "vissl_svm/features/cow_cost_1.pickle",
             "classes/cow.json", "checkpoints/step_000000003.pt"],
)  # fmt: skip
def test_the_second_opening_continues_what_the_first_has_kept(tmp_path: Path, work: str) -> None:
    for kept in (False, True):
        with open_run_folder(tmp_path, IDENTITY) as resumed:
            assert resumed == kept
            (tmp_path / work).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / work).touch()


@pytest.mark.parametrize("field", list(IDENTITY))
def test_a_folder_of_another_job_is_refused_naming_what_differs(tmp_path: Path, field: str) -> None:
    with open_run_folder(tmp_path, IDENTITY):
        pass
    with pytest.raises(Refusal, match=f"{field} '{IDENTITY[field]}', this one has 'other'"):
        open_run_folder(tmp_path, {**IDENTITY, field: "other"}).__enter__()


def test_a_damaged_identity_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text("{")
    with pytest.raises(Refusal, match="remove the folder"):
        open_run_folder(tmp_path, IDENTITY).__enter__()


def test_a_second_process_is_refused_naming_the_first_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        started = time.monotonic()
        with pytest.raises(Refusal, match=f"in use by process {holder.pid} "):
            open_run_folder(tmp_path, IDENTITY).__enter__()
        assert time.monotonic() - started < 5
    finally:
        holder.kill()
        holder.communicate()
    with open_run_folder(tmp_path, IDENTITY) as resumed:
        assert not resumed


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match=r"choose another --run\.output"):
        open_run_folder(tmp_path / "file" / "run", IDENTITY).__enter__()


@pytest.mark.parametrize("field", ["seed", "limit", "workers", "gpus"])
def test_a_negative_number_in_the_run_is_refused(field: str) -> None:
    with pytest.raises(Refusal, match=rf"run\.{field} is -1"):
        Run(checkpoint="x", **{field: -1})  # type: ignore[arg-type]


def test_a_run_without_checkpoint_is_refused_unless_dry() -> None:
    with pytest.raises(Refusal, match=r"run\.checkpoint is empty"):
        LinearRun()
    assert LinearRun(dry_run=True).engine == "vissl"


def test_gpus_on_a_cpu_run_are_refused() -> None:
    with pytest.raises(Refusal, match="leave one of them out"):
        Run(checkpoint="x", device="cpu", gpus=2)


def test_the_lock_names_this_process_while_it_is_held(tmp_path: Path) -> None:
    with open_run_folder(tmp_path, IDENTITY):
        assert f'"pid": {os.getpid()}' in (tmp_path / ".lock").read_text()
