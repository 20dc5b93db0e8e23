"""Files that show their damage: JSON with a digest inside, others with one beside; verified whenever they are read.

A digest inside is under "digest" and covers the canonical form of everything else; one beside is "<file>.sha256".
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results import atomic
from results.refusal import Refusal
from results.settings import canonical_json

DIGEST = "digest"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` (plain JSON values, no NaN) with its digest, whole or not at all."""
    assert DIGEST not in content, f"{DIGEST!r} is the seal's own key"
    plain = json.loads(canonical_json(dict(content)))
    sealed = {**plain, DIGEST: _digest(plain)}
    atomic.write_text(path, json.dumps(sealed, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path, *, digest_required: bool = True) -> dict[str, Any]:
    """What `write_json` wrote, without the digest.

    Without `digest_required` a file that never had one (another version's, a person's) is read as well.

    Raises:
        Refusal: the file cannot be read, is no JSON object, or is not as it was written; the message names it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{path} is damaged: not readable JSON ({error})") from error
    if not isinstance(content, dict) or (digest_required and DIGEST not in content):
        raise Refusal(f"{path} is damaged: not a JSON object with a digest")
    found = content.pop(DIGEST, None)
    try:
        intact = found == _digest(content) or (found is None and not digest_required)
    except ValueError as error:
        raise Refusal(f"{path} is damaged ({error})") from error
    if not intact:
        raise Refusal(f"{path} was damaged or edited after it was written (its digest does not fit its content)")
    return content


def is_whole_json(path: Path) -> bool:
    """Whether the file at `path` is there and as `write_json` wrote it."""
    try:
        read_json(path)
    except Refusal:
        return False
    return True


def seal(path: Path) -> None:
    """Keep the digest of the finished file at `path` beside it."""
    atomic.write_text(_beside(path), file_sha256(path) + "\n")


def damage(path: Path) -> str:
    """What is wrong with a file that `seal` sealed; empty where it is as it was then."""
    try:
        kept = _beside(path).read_text(encoding="utf-8", errors="replace").strip()
        return "" if kept == file_sha256(path) else f"{path} is damaged (its digest is not the one beside it)"
    except FileNotFoundError as error:
        return f"{error.filename} does not exist"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"


def unseal(path: Path) -> None:
    """Remove the file at `path` with its digest; what is not there is no error."""
    path.unlink(missing_ok=True)
    _beside(path).unlink(missing_ok=True)


def drop_lone_digests(folder: Path, pattern: str) -> None:
    """Remove the digests in `folder` of files that matched `pattern` and were removed by somebody else."""
    for digest in folder.glob(str(_beside(Path(pattern)))):
        if not digest.with_suffix("").exists():
            digest.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def given_file_sha256(path: Path) -> str:
    """`file_sha256` of a file that the user named.

    Raises:
        Refusal: it cannot be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror or error}") from error


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()
