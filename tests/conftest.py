"""What every test may use: the digits corpus, built once per test run and shared by its worker processes."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits corpus of seed 0. Shared: read it, never write to it (copy what a test has to change)."""
    from data.digits.build import build

    # Under pytest-xdist each worker has its own base folder; the folder above it is common to all of one run.
    common = tmp_path_factory.getbasetemp()
    if common.name.startswith("popen-"):
        common = common.parent
    root = common / "digits-corpus"
    with (common / "digits-corpus.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build(root, seed=0)
    return root


@pytest.fixture
def copy_digits(digits_root: Path, tmp_path: Path) -> Callable[..., Path]:
    """`copy_digits("imagenet", "coco")` is a private corpus with these trees only, for tests that damage it."""

    def copy(*trees: str) -> Path:
        root = tmp_path / "digits"
        for tree in trees:
            shutil.copytree(digits_root / tree, root / tree)
        shutil.copyfile(digits_root / "CORPUS.json", root / "CORPUS.json")
        return root

    return copy
