"""What is installed: package, version, and whether it can be imported or why not. Exit status 1 when one cannot.

Each package is imported in one child process, so that a crash while importing (a broken binary) is a row of the table.
"""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"

# Distributions whose import name is not their own name.
IMPORT_NAMES = {
    "pillow": "PIL",
    "scikit-learn": "sklearn",
    "liblinear-official": "liblinear.liblinearutil",
    "faster-coco-eval": "faster_coco_eval",
    "classy-vision": "classy_vision",
    "hydra-core": "hydra",
    "pytest-xdist": "xdist",
}
ENGINES = {"vissl": "vissl", "sal-detectron2": "detectron2"}

PROBE = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
        print(json.dumps([name, "yes"]), flush=True)
    except BaseException as error:
        print(json.dumps([name, f"no: {type(error).__name__}: {error}"]), flush=True)
"""


def required() -> dict[str, str]:
    """The pinned version of each direct requirement, by distribution name."""
    lines = (line.split("#")[0].strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if line)


def import_name(distribution: str) -> str:
    """The module to import to see whether the distribution works."""
    return IMPORT_NAMES.get(distribution) or ENGINES.get(distribution) or distribution


def imported(names: list[str]) -> dict[str, str]:
    """For each module "yes", or "no: " and the reason."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        command = [sys.executable, "-c", PROBE, json.dumps(waiting)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            if line.startswith("["):
                name, answer = json.loads(line)
                found[name] = answer
        left = [name for name in waiting if name not in found]
        if left:
            found[left.pop(0)] = f"no: the interpreter ended with status {done.returncode}"
        waiting = left
    return found


def installed_version(distribution: str) -> str:
    """The installed version, or "-"."""
    names = [distribution, "detectron2"] if distribution == "sal-detectron2" else [distribution]
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "-"


def main() -> int:
    """Print the table; 0 when every package can be imported."""
    distributions = [*required(), *ENGINES]
    answers = imported([import_name(name) for name in distributions])
    width = max(map(len, distributions))
    print(f"{'package':{width}}  {'version':20}  imported")
    for name in distributions:
        print(f"{name:{width}}  {installed_version(name):20}  {answers[import_name(name)]}")
    broken = [name for name in distributions if answers[import_name(name)] != "yes"]
    print(f"{len(distributions) - len(broken)} of {len(distributions)} packages can be imported")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
