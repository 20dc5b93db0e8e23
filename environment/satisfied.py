"""Does the running interpreter's environment satisfy environment.yml? Exit status 0 if so, 1 with the reasons if not.

`make` asks this of an active conda environment before it decides to build `.venv`.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

from environment.engines import importable

CONDA_FILE = Path(__file__).parent.parent / "environment.yml"

# conda-forge's names for distributions that the package index calls otherwise.
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}

_LINE = re.compile(r"^\s*-\s+(?P<name>[A-Za-z0-9_.-]+)\s*(?P<range>[<>=!].*?)?\s*(#.*)?$")


def conda_ranges(text: str) -> dict[str, str]:
    """Distribution name to version range (">=1,<2", or "" for any) of every package listed in an environment.yml."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and match["name"] not in ("conda-forge", "pip", "python", "nodefaults"):
            found[CONDA_NAMES.get(match["name"], match["name"])] = (match["range"] or "").replace(" ", "")
    return found


def within(version: str, wanted: str) -> bool:
    """Whether a version lies in a range of comma-separated `>=`, `<`, `==` comparisons."""
    return all(_holds(version, part) for part in wanted.split(",") if part)


def problems(ranges: dict[str, str]) -> list[str]:
    """One line for each package that is missing or outside its range."""
    found = []
    for name, wanted in ranges.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = ""
        # A detectron2 built from source or unpacked by environment/engines.py serves as well as conda-forge's.
        if not version and not (name == "detectron2" and importable(name)):
            found.append(f"{name}: not installed")
        elif version and not within(version, wanted):
            found.append(f"{name}: {version} is not {wanted}")
    return found


def _holds(version: str, comparison: str) -> bool:
    operator, bound = re.fullmatch(r"([<>=]+)(.+)", comparison).groups()  # type: ignore[union-attr]
    found, limit = _numbers(version), _numbers(bound)
    return {">=": found >= limit, "<": found < limit, "==": found == limit}[operator]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0].split(".post")[0]))


def main() -> int:
    """Print what is missing from the running environment."""
    lines = problems(conda_ranges(CONDA_FILE.read_text(encoding="utf-8")))
    if sys.version_info < (3, 11):  # noqa: UP036 (conda's interpreter may be older than what we ask for)
        lines.insert(0, f"python: {sys.version.split()[0]} is older than 3.11")
    print("\n".join(lines) or "satisfied")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
