"""Fetching known weights, once: resumable, checked against the recorded digest, and clear when there is no network."""

import hashlib
from pathlib import Path

from data.fetch import fetch
from evaluate.weights import KNOWN_WEIGHTS, KnownWeights, cached_file, digest_file
from results import atomic
from results.refusal import Refusal
from results.sealed import given_file_sha256


def download(name: str) -> Path:
    """Fetch the known weights `name` into the cache, continuing a partial download, and return the file.

    Raises:
        Refusal: the name is unknown, the network cannot be reached (the message says where to put the file), or what
            arrived has not the recorded digest.
    """
    if name not in KNOWN_WEIGHTS:
        raise Refusal(f"no known weights are called {name!r}; known: {', '.join(KNOWN_WEIGHTS)}")
    known, target = KNOWN_WEIGHTS[name], cached_file(name)
    if target.is_file():
        _check(target, known)
        return target
    partial = fetch(known.url, target, name)
    _check(partial, known)
    atomic.write_text(digest_file(target), given_file_sha256(partial) + "\n")
    partial.replace(target)
    return target


def _check(path: Path, known: KnownWeights) -> None:
    """Refuse a file that has not the recorded digest; it is put aside so that the next attempt starts anew."""
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    found = {"SHA-256": given_file_sha256(path), "MD5": md5}
    for kind, recorded in (("SHA-256", known.sha256), ("MD5", known.md5)):
        if not found[kind].startswith(recorded):
            aside = path.with_name(path.name + ".wrong")
            path.replace(aside)
            raise Refusal(
                f"{known.url} gave a file whose {kind} is {found[kind][:16]}…, recorded is {recorded[:16]}…; it was "
                f"kept as {aside}; run the same command again, and if it repeats, the publisher changed the file"
            )
