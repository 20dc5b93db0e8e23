"""One digest for a data set's images and labels, and a private cache of it for the large ones.

The digest is the SHA-256 over the sorted lines "<relative path> NUL <size>" of the images used and "<relative path> NUL
<SHA-256>" of the label files. Reading the size of a million files takes minutes on a network disk, so above
`CACHED_ABOVE` images the result is kept under the user's cache folder and believed while every image folder keeps its
modification time and every label file its size and time. An image overwritten in place under the same name therefore
goes unseen until the folder changes; `python -m data doctor --deep` reads every file.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from data import members
from data.progress import track
from results import sealed
from results.refusal import Refusal

CACHED_ABOVE = 20_000


@dataclass(frozen=True)
class Fingerprint:
    """The digest and the images it covers, by split."""

    digest: str
    counts: Mapping[str, int]


def compute(root: Path, dataset: str) -> Fingerprint:
    """The fingerprint of `dataset` at `root`.

    Raises:
        Refusal: a folder, label file or image is missing; the message names it.
    """
    root = root.resolve()
    label_files = members.label_files(root, dataset)
    stamp = _stamp(members.image_folders(root, dataset), label_files)
    cache = _cache_path(root, dataset)
    if (kept := _read_cache(cache, stamp)) is not None:
        return kept
    images = members.images(root, dataset)
    every = [path for paths in images.values() for path in paths]
    digest = _digest(root, every, label_files)
    found = Fingerprint(digest, {split: len(paths) for split, paths in images.items()})
    if len(every) > CACHED_ABOVE:
        _write_cache(cache, stamp, found)
    return found


def _digest(root: Path, images: list[Path], label_files: list[Path]) -> str:
    lines = {f"{_relative(path, root)}\0{_size(path)}" for path in track(images, "measuring images")}
    lines |= {f"{_relative(path, root)}\0{_sha256(path)}" for path in label_files}
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def _relative(path: Path, root: Path) -> str:
    return path.as_posix().removeprefix(root.as_posix() + "/")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror}; run `python -m data doctor` for a list of what is missing") from error


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror}; run `python -m data doctor` for a list of what is missing") from error


def _stamp(folders: Iterable[Path], label_files: Iterable[Path]) -> str:
    """A digest of the modification times that a cached fingerprint depends on."""
    parts = [f"{folder}\0{folder.stat().st_mtime_ns}" for folder in folders]
    for path in label_files:
        try:
            status = path.stat()
        except OSError as error:
            raise Refusal(f"{path} cannot be read ({error.strerror}); it is needed for the labels") from error
        parts.append(f"{path}\0{status.st_size}\0{status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _cache_path(root: Path, dataset: str) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(f"{root}\0{dataset}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return base / "vicreg-reproduction" / "fingerprints" / f"{name}.json"


def _read_cache(path: Path, stamp: str) -> Fingerprint | None:
    try:
        content = sealed.read_json(path)
        return Fingerprint(**content["fingerprint"]) if content["stamp"] == stamp else None
    # A cache that is missing, damaged or from another version is only slower, never wrong.
    except (Refusal, KeyError, TypeError):
        return None


def _write_cache(path: Path, stamp: str, found: Fingerprint) -> None:
    try:
        sealed.write_json(path, {"stamp": stamp, "fingerprint": asdict(found)})
    except Refusal:
        # No home folder or no space there: the next call measures again.
        return
