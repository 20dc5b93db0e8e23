"""What a checkpoint argument means, known without asking the evaluate room: a file, a part of one, a known name."""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from results.refusal import Refusal
from results.sealed import given_file_sha256
from results.typed import read_csv

RANDOM_INIT = "random-init"
KNOWN_FILE = Path(__file__).parent / "known_weights.csv"


@dataclass(frozen=True)
class KnownName:
    """One name that the evaluate room resolves to weights."""

    name: str


@functools.cache
def known_names() -> tuple[str, ...]:
    """Every name of weights that stands for no file given here."""
    return tuple(known.name for known in read_csv(KNOWN_FILE, KnownName))


def file_and_part(checkpoint: str) -> tuple[Path, str] | None:
    """The file that is meant, and which of its backbones ("FILE#teacher", else ""); None for a known name.

    Raises:
        Refusal: neither a file nor a known name.
    """
    if checkpoint in known_names():
        return None
    path, part = Path(checkpoint), ""
    if "#" in checkpoint and not path.exists():
        before, _, part = checkpoint.rpartition("#")
        path = Path(before)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise Refusal(f"{path} {kind}; give a checkpoint file or one of: {', '.join(known_names())}")
    return path, part


def checkpoint_digest(checkpoint: str) -> str:
    """The sha256 that records of this checkpoint carry.

    That of the file, and of "<file's sha256>#<part>" for a part. Of known names only the random control has it here:
    that of its text. Records of the others carry their downloaded file's, which is no text's, so that none is found.

    Raises:
        Refusal: neither a file nor a known name.
    """
    found = file_and_part(checkpoint)
    if found is None:
        return hashlib.sha256(checkpoint.encode()).hexdigest()
    path, part = found
    digest = given_file_sha256(path)
    return hashlib.sha256(f"{digest}#{part}".encode()).hexdigest() if part else digest
