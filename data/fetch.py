"""Fetching one file when asked to: resumable, with a progress bar, and clear about what to do without a network."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from data.progress import track
from results.refusal import Refusal

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 30
NOTHING_MISSING = 416
CONTINUED = 206


def fetch(url: str, target: Path, title: str) -> Path:
    """Fetch `url` into "TARGET.partial", continuing what is there; the caller checks that file, then renames it.

    Raises:
        Refusal: the network cannot be reached (the message says where to put the file), or the folder not be written.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _continue(url, partial, title)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise Refusal(
            f"{url} cannot be fetched ({reason}); run the same command again to continue, "
            f"or put the file at {target} yourself"
        ) from error
    except OSError as error:
        raise Refusal(f"{partial} cannot be written: {error.strerror}; choose a folder that can") from error
    return partial


def _continue(url: str, partial: Path, title: str) -> None:
    """Append what is missing to `partial`; a server that cannot continue starts over."""
    begun = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == NOTHING_MISSING:
            return
        raise
    with response, partial.open("ab" if response.status == CONTINUED else "wb") as file:
        length = int(response.headers.get("Content-Length") or 0)
        chunks = -(-length // CHUNK_BYTES) or None
        written = 0
        for chunk in track(_chunks(response.read), f"{title}, MiB", chunks):
            written += file.write(chunk)
    if length and written < length:
        raise ConnectionError(f"the connection ended after {written} of {length} bytes")


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := read(CHUNK_BYTES):
        yield chunk
