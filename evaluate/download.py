"""Fetching known weights, once: resumable, checked against the recorded digest, and clear when there is no network."""

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from data.progress import track
from evaluate.weights import KNOWN_WEIGHTS, KnownWeights, cached_file, digest_file, file_sha256
from results import atomic
from results.refusal import Refusal

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 30


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
    partial = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(known.url, partial, name)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise Refusal(
            f"{known.url} cannot be fetched ({reason}); run the same command again to continue, "
            f"or put the file at {target} yourself"
        ) from error
    except OSError as error:
        raise Refusal(f"{partial} cannot be written: {error.strerror}; set VICREG_WEIGHTS to another folder") from error
    _check(partial, known)
    atomic.write_text(digest_file(target), file_sha256(partial) + "\n")
    partial.replace(target)
    return target


def _fetch(url: str, partial: Path, name: str) -> None:
    """Append what is missing to `partial`; a server that cannot continue starts over."""
    begun = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing
            return
        raise
    with response, partial.open("ab" if response.status == 206 else "wb") as file:
        length = int(response.headers.get("Content-Length") or 0)
        chunks = -(-length // CHUNK_BYTES) or None
        written = 0
        for chunk in track(_chunks(response.read), f"{name}, MiB", chunks):
            written += file.write(chunk)
    if length and written < length:
        raise ConnectionError(f"the connection ended after {written} of {length} bytes")


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := read(CHUNK_BYTES):
        yield chunk


def _check(path: Path, known: KnownWeights) -> None:
    """Refuse a file that has not the recorded digest; it is put aside so that the next attempt starts anew."""
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    found = {"SHA-256": file_sha256(path), "MD5": md5}
    for kind, recorded in (("SHA-256", known.sha256), ("MD5", known.md5)):
        if not found[kind].startswith(recorded):
            aside = path.with_name(path.name + ".wrong")
            path.replace(aside)
            raise Refusal(
                f"{known.url} gave a file whose {kind} is {found[kind][:16]}…, recorded is {recorded[:16]}…; it was "
                f"kept as {aside}; run the same command again, and if it repeats, the publisher changed the file"
            )
