"""What a command says where the suite's environment is not active: one line, not a missing module's traceback.

Every room asks as it is imported, before anything that only the environment has. Old Pythons come here too, so nothing
in this file is new.
"""

import importlib.util
import sys

NEEDED_BY_ALL = "tyro"
USAGE_STATUS = 2


def refuse_outside() -> None:
    """Exit with status 2 where `python -m ROOM` runs under a Python that lacks the suite's packages."""
    is_command = sys.argv[:1] == ["-m"]  # so it is while `python -m` looks for the module to run
    if is_command and importlib.util.find_spec(NEEDED_BY_ALL) is None:
        remedy = "run `source .venv/bin/activate` first (and `make setup` where there is no .venv)"
        sys.stderr.write("error: " + sys.executable + " lacks the packages of this suite; " + remedy + "\n")
        sys.exit(USAGE_STATUS)
