"""The Makefile offers the words people rely on and refuses a missing variable before it does anything."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORDS = [
    "help", "setup", "demo", "demo-ablations", "smoke", "test", "lint", "pretrain", "linear", "semi", "knn",
    "transfer-places205", "transfer-inat18", "transfer-voc07", "transfer-voc0712", "transfer-coco", "transfer",
    "reproduce", "compare", "report", "doctor", "plan", "bench",
]  # fmt: skip


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # As a person would call it, also when this very test was started by `make test`.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


def test_help_lists_every_word_with_an_explanation() -> None:
    done = make("help")
    listed = dict(re.findall(r"^  ([a-z0-9-]+) +(\S.*)$", done.stdout, flags=re.MULTILINE))
    assert done.returncode == 0
    assert [word for word in WORDS if word not in listed] == []


def test_make_alone_shows_the_help() -> None:
    assert make().stdout == make("help").stdout


@pytest.mark.parametrize(
    ("target", "given", "missing"),
    [
        ("pretrain", [], "IMAGENET"),
        ("linear", [], "CHECKPOINT"),
        ("linear", ["CHECKPOINT=resnet50.pth"], "IMAGENET"),
        ("transfer-coco", ["CHECKPOINT=resnet50.pth"], "COCO"),
        ("reproduce", [], "CHECKPOINT"),
    ],
)
def test_a_missing_variable_is_one_line_with_an_example_and_status_2(
    target: str, given: list[str], missing: str
) -> None:
    done = make(target, *given)
    assert done.returncode == 2
    so_far = " ".join([target, *given])
    assert f"error: {missing} is not set; run: make {so_far} {missing}=" in done.stderr
    assert done.stdout == ""


def test_a_mistyped_variable_is_refused_and_not_ignored() -> None:
    done = make("doctor", "CHEKPOINT=resnet50.pth")
    assert done.returncode == 2 and done.stdout == ""
    assert "no such variable: CHEKPOINT; `make help` lists them" in done.stderr
    assert make("-n", "compare", "ARGS=--strict --against=x", "RUNS=a b").returncode == 0


def test_reproduce_is_told_of_the_gpus_and_of_paths_with_spaces() -> None:
    done = make("-n", "reproduce", "CHECKPOINT=my dir/r.pth", "IMAGENET=/data/my imagenet", "GPUS=8")
    command = shlex.split(done.stdout.strip().splitlines()[-1])
    assert command[command.index("--gpus") + 1] == "8"
    assert command[command.index("--checkpoint") + 1] == "my dir/r.pth"
    assert command[command.index("--imagenet") + 1] == "/data/my imagenet"


@pytest.mark.parametrize("target", ["demo", "smoke", "demo-detection-random", "compare", "report", "transfer-coco"])
def test_folders_with_spaces_stay_whole(target: str) -> None:
    done = make("-n", target, "RUNS=my runs", "CHECKPOINT=my dir/r.pth", "COCO=/data/my coco")
    words = shlex.split(done.stdout.replace("\\\n", " "))
    assert [word for word in words if word in ("my", "runs") or word.startswith("runs/")] == []
    assert any(word.startswith("my runs/") for word in words)


@pytest.mark.parametrize("target", WORDS)
def test_every_word_expands_to_commands_that_make_can_parse(target: str) -> None:
    roots = [f"{name}=/data/{name.lower()}" for name in ("IMAGENET", "PLACES205", "INAT18", "VOC", "COCO")]
    done = make("--dry-run", target, "CHECKPOINT=resnet50.pth", *roots)
    assert done.returncode == 0, done.stderr
