"""requirements.txt, requirements-lock.txt and environment.yml describe one environment."""

import re
from pathlib import Path

import pytest

from environment import satisfied
from environment.table import required

ROOT = Path(__file__).parents[2]
ENGINES_OUTSIDE_THE_INDEX = {"detectron2"}


def test_conda_and_pip_list_the_same_packages() -> None:
    ranges = satisfied.conda_ranges(satisfied.CONDA_FILE.read_text(encoding="utf-8"))
    assert set(ranges) - ENGINES_OUTSIDE_THE_INDEX == set(required())


def test_every_pin_lies_in_its_conda_range() -> None:
    ranges = satisfied.conda_ranges(satisfied.CONDA_FILE.read_text(encoding="utf-8"))
    outside = {name: version for name, version in required().items() if not satisfied.within(version, ranges[name])}
    assert outside == {}


def test_the_lock_pins_every_direct_requirement_at_the_same_version_and_by_digest() -> None:
    lock = (ROOT / "requirements-lock.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, flags=re.MULTILINE))
    assert {name: pinned.get(name) for name in required()} == required()
    entries = re.split(r"^(?=[a-z0-9-]+==)", lock, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize(
    ("version", "wanted", "holds"),
    [
        ("2.15.0+cu132", ">=2.11,<2.16", True),
        ("2.16.0", ">=2.11,<2.16", False),
        ("2.9.1", ">=2.11,<2.16", False),
        ("0.1.5.post20221221", ">=0.1.5,<0.2", True),
        ("0.7.0", "==0.7.0", True),
        ("1.0", "", True),
    ],
)
def test_a_version_is_compared_number_by_number(version: str, wanted: str, holds: bool) -> None:
    assert satisfied.within(version, wanted) is holds


def test_a_missing_package_and_one_outside_its_range_are_named() -> None:
    lines = satisfied.problems({"no-such-package": ">=1", "pytest": "<1"})
    assert lines[0] == "no-such-package: not installed"
    assert lines[1].startswith("pytest: ") and lines[1].endswith("is not <1")
