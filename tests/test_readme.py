"""Every command of the README is run: as it stands where it is quick, with a dry run where it would take hours.

Paths that stand for the reader's own are replaced by the digits corpus and by a file written here. Only two commands
are left to others: `make demo`, whose path `make smoke` walks on every change, and `make test`, which is this.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = re.findall(r"^\$ (.+)$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
TOO_LONG_FOR_A_TEST = {"make demo", "make test"}
# What turns a command of hours into one that resolves and prints everything it would do.
DRY = {
    "make doctor": "",
    "make compare": "",
    "make reproduce": "ARGS=--dry-run",
    "make": "ARGS=--run.dry-run",
    "python -m pretrain paper --run.data": "--run.dry-run",
    "python -m transfer coco": "--run.dry-run",
}
# `doctor` exits with 1 when it finds a problem, and the reader's folders are not here.
ALLOWED_STATUS = {"make doctor": {0, 1, 2}}


def dry(command: str) -> str:
    """The command with what makes it quick, by the longest prefix that is listed."""
    prefix = max((prefix for prefix in DRY if command.startswith(prefix)), key=len, default="")
    return f"{command} {DRY[prefix]}" if prefix else command


def here(command: str, digits: Path, folder: Path) -> list[str]:
    """The command's words, the reader's own paths replaced by this test's."""
    words = shlex.split(command)
    known = {
        "/data/imagenet": str(digits / "imagenet"),
        "/data/places205-archives": str(digits / "places205_raw"),
        "/data/places205": str(folder / "places205"),
        "resnet50.pth": str(folder / "resnet50.pth"),
    }
    words = [
        str(folder / word) if re.fullmatch(r"resnet50-\w+\.(pth|pkl)", word) else known.get(word, word)
        for word in words
    ]
    words = ["CHECKPOINT=random-init" if word == "CHECKPOINT=resnet50.pth" else word for word in words]
    words = ["GPUS=2" if word == "GPUS=8" else word for word in words]  # a dry run of eight ranks starts eight Pythons
    return [sys.executable, *words[1:]] if words[0] == "python" else words


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100", "MAKEFLAGS": "", "MAKELEVEL": "0", "ARGS": ""}
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


def test_the_readme_shows_commands_for_every_room() -> None:
    assert set(COMMANDS) >= TOO_LONG_FOR_A_TEST
    for room in ("data", "pretrain", "transfer", "results"):
        assert any(command.startswith(f"python -m {room} ") for command in COMMANDS), room


@pytest.mark.engine
@pytest.mark.parametrize("command", sorted(set(COMMANDS) - TOO_LONG_FOR_A_TEST))
def test_a_command_of_the_readme_runs(command: str, digits_root: Path, tmp_path: Path) -> None:
    if "--checkpoint resnet50.pth" in command:
        import torch
        from torchvision.models import resnet50

        state = {name: value for name, value in resnet50().state_dict().items() if not name.startswith("fc.")}
        torch.save(state, tmp_path / "resnet50.pth")
    done = run(here(dry(command), digits_root, tmp_path))
    allowed = next((status for prefix, status in ALLOWED_STATUS.items() if command.startswith(prefix)), {0})
    if command.endswith("--strict"):
        allowed = {0, 1}  # what this machine has measured decides
    assert done.returncode in allowed, f"{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", sorted(TOO_LONG_FOR_A_TEST))
def test_the_long_commands_are_targets_that_make_knows(command: str) -> None:
    assert run([*shlex.split(command), "--dry-run"]).returncode == 0
