"""The file that `python -m data digits` writes last: by it the digits corpus is known, and known to be whole."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from data import safe_json
from data.layouts import layout_of
from results.refusal import Refusal

FILE_NAME = "CORPUS.json"
DIGITS = "digits"

_PARENTS_SEARCHED = 3


@dataclass(frozen=True)
class Marker:
    """What `python -m data digits` says of the corpus it wrote; `counts` are images by data set and split."""

    seed: int
    counts: Mapping[str, Mapping[str, int]]
    class_counts: Mapping[str, int]
    file_count: int
    versions: Mapping[str, str]

    def to_json(self) -> str:
        """The marker file's text."""
        content = {"corpus": DIGITS, **{name: getattr(self, name) for name in _FIELDS}}
        return json.dumps(content, indent=1, sort_keys=True) + "\n"


_FIELDS = tuple(field.name for field in fields(Marker))


def find_marker(root: Path) -> Marker | None:
    """The marker in `root` or in one of the three folders above it; None outside a digits corpus.

    Raises:
        Refusal: a marker is there but cannot be read.
    """
    path = marker_path(root)
    return None if path is None else read_marker(path)


def marker_path(root: Path) -> Path | None:
    """Where the marker of `root` is, or None."""
    folder = root.resolve()
    for candidate in [folder, *folder.parents][: 1 + _PARENTS_SEARCHED]:
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
    return None


def read_marker(path: Path) -> Marker:
    """The marker in the file at `path`.

    Raises:
        Refusal: it is not a marker of the digits corpus.
    """
    content: dict[str, Any] = safe_json.read_object(path)
    if content.pop("corpus", None) != DIGITS or set(content) != set(_FIELDS):
        raise Refusal(f"{path} is not a marker of the digits corpus; delete its folder and run `python -m data digits`")
    return Marker(**content)


def expected_counts(root: Path, dataset: str) -> Mapping[str, int]:
    """Images by split that `dataset` must have at `root`: the published counts, or those of the digits corpus there."""
    marker = find_marker(root)
    return layout_of(dataset).splits if marker is None else marker.counts[dataset]


def expected_classes(root: Path, dataset: str) -> int:
    """How many classes `dataset` must have at `root`, in the published data or in the digits corpus there."""
    marker = find_marker(root)
    return layout_of(dataset).class_count if marker is None else marker.class_counts[dataset]
