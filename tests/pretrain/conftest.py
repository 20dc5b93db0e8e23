"""Shared fixtures of the pretraining tests."""

import sys
from pathlib import Path

import pytest

# The helpers beside the tests (small, ranks, rank_worker) are plain modules of this folder.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a small training set in ImageNet's layout."""
    import small

    return Path(small.write_images(tmp_path_factory.mktemp("imagenet")))
