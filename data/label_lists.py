"""SimCLR's lists of 1 % and 10 % of ImageNet's training labels: fetched once, and kept only with the right digest."""

import hashlib
from pathlib import Path

from data.fetch import fetch
from data.layouts import layout_of
from data.paths import existing_folder
from results import atomic
from results.refusal import Refusal

DATASETS = ("imagenet_1pct", "imagenet_10pct")


def fetch_lists(root: Path, source: str) -> list[tuple[Path, bool]]:
    """Put 1percent.txt and 10percent.txt into ImageNet's folder `root`; each with whether it had to be fetched.

    `source` is the address of the folder that publishes them.

    Raises:
        Refusal: `root` does not exist, the network cannot be reached, or what is there or arrived is not the list.
    """
    existing_folder(root, layout_of("imagenet").title)
    return [_one(root, source, dataset) for dataset in DATASETS]


def _one(root: Path, source: str, dataset: str) -> tuple[Path, bool]:
    layout = layout_of(dataset)
    target, url = root / layout.list_file, f"{source.rstrip('/')}/{layout.list_file}"
    if target.exists():
        if _digest(target) != layout.list_sha256:
            raise Refusal(f"{target} is there and is not the published list; move it away, then run this again")
        return target, False
    partial = fetch(url, target, layout.list_file)
    content = partial.read_bytes()
    partial.unlink()
    if hashlib.sha256(content).hexdigest() != layout.list_sha256:
        raise Refusal(f"{url} gave {len(content):,} bytes that are not the published list; nothing was kept")
    atomic.write_bytes(target, content)
    return target, True


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise Refusal(f"{path} cannot be read: {error.strerror}") from error
