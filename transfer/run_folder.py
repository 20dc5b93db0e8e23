"""A run folder belongs to one job, and to one process at a time; an interrupted job is continued in it, never mixed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from results import atomic
from results.folder_lock import sole_user
from results.refusal import Refusal

IDENTITY_FILE = "identity.json"
WORK = ("results.json", "model_*.pth", "vissl/*.torch", "vissl_svm/*/*", "classes/*.json", "checkpoints/step_*.pt")
"""What an interrupted engine leaves for the next start to go on from."""


@contextmanager
def open_run_folder(folder: Path, identity: Mapping[str, str]) -> Iterator[bool]:
    """Make or reopen `folder` for the job named by `identity` and hold its lock; yields whether work is kept in it.

    Raises:
        Refusal: the folder belongs to another job, or another process is working in it.
    """
    with sole_user(folder):
        _claim(folder / IDENTITY_FILE, identity)
        yield any(True for pattern in WORK for _ in folder.glob(pattern))


def _claim(file: Path, identity: Mapping[str, str]) -> None:
    if not file.exists():
        atomic.write_text(file, json.dumps(dict(identity), indent=1, sort_keys=True) + "\n")
        return
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        owner = {name: found.get(name) for name in identity}
    except (ValueError, RecursionError, AttributeError) as error:
        raise Refusal(f"{file} is not readable JSON; remove the folder {file.parent} to start anew") from error
    for name, value in identity.items():
        if owner[name] != value:
            raise Refusal(
                f"{file.parent} holds a run with {name} {str(owner[name])[:80]!r}, this one has {value!r}; "
                "choose another --run.output or remove that folder"
            )
