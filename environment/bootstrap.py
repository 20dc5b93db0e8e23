"""`make setup`: from a bare machine with Python 3.11 or newer to a working `.venv`.

Runs under whatever `python3` is, so it is written for old interpreters too and uses the standard library alone: an old
Python must be told so in one line, not with a SyntaxError.
"""

import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST = (3, 11)
SPACE_NEEDED_GB = 8  # torch's CUDA build unpacked is 5.4 GB, and pip keeps the archives beside it while it unpacks


def main():  # type: () -> int
    """Create or complete the environment named by the first argument; return the exit status."""
    venv = os.path.abspath(sys.argv[1])
    if sys.version_info[:2] < OLDEST:
        return reexecute_with_newer_python()
    problem = missing_space(os.path.dirname(venv))
    if problem:
        return refuse(problem)
    python = os.path.join(venv, "bin", "python")
    steps = [
        [sys.executable, "-m", "venv", venv],
        # The lock is the whole closure, each file with its digest: nothing is resolved and nothing else is accepted.
        [python, "-m", "pip", "install", "--no-deps", "--require-hashes", "--disable-pip-version-check",
         "-r", os.path.join(ROOT, "requirements-lock.txt")],
        [python, "-m", "environment.engines"],
        [python, "-m", "environment.table"],
    ]  # fmt: skip
    for step in steps:
        if subprocess.call(step, cwd=ROOT) != 0:
            return refuse("setting up stopped at `%s`; mend what it says and run `make setup` again" % " ".join(step))
    return 0


def reexecute_with_newer_python():  # type: () -> int
    """Run this file again under a new enough Python from the PATH, or refuse naming what was found."""
    for minor in range(14, OLDEST[1] - 1, -1):
        newer = shutil.which("python3.%d" % minor)
        if newer and works(newer):
            return subprocess.call([newer] + sys.argv)
    found = "%d.%d" % sys.version_info[:2]
    return refuse("Python %s found (%s); 3.11 or newer is needed: install one and run `make PYTHON=/path/to/python3.11`"
                  % (found, sys.executable))  # fmt: skip


def works(python):  # type: (str) -> bool
    """Whether the interpreter starts and can make environments (version managers leave launchers that do neither)."""
    with open(os.devnull, "w") as nowhere:
        return subprocess.call([python, "-c", "import venv, ensurepip"], stdout=nowhere, stderr=nowhere) == 0


def missing_space(folder):  # type: (str) -> str
    """What is wrong with the free space where the environment goes, or an empty string."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb >= SPACE_NEEDED_GB:
        return ""
    return "%.1f GB free at %s; the environment needs %d GB" % (free_gb, folder, SPACE_NEEDED_GB)


def refuse(line):  # type: (str) -> int
    """Print one line on stderr and return the status of bad input."""
    sys.stderr.write("error: %s\n" % line)
    return 2


if __name__ == "__main__":
    sys.exit(main())
