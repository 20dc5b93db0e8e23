"""Protocol cards: every setting of a protocol with its source; the rooms that own the protocols fill and write them."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from results import atomic
from results.refusal import Refusal
from results.tables import PAPER

CARDS = PAPER / "cards"
Source = tuple[str, str]
"""Where a setting comes from, and a remark."""


@dataclass(frozen=True)
class Setting:
    """One setting, its value as used, where that comes from, and a remark."""

    setting: str
    value: str
    source: str
    note: str


@dataclass(frozen=True)
class Card:
    """How a protocol measures its cells, and what the sources leave open."""

    protocol: str
    settings: tuple[Setting, ...]
    open_questions: tuple[str, ...]

    def file_text(self) -> str:
        """The card as its file holds it."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def write_cards(cards: Iterable[Card], folder: Path = CARDS) -> list[Path]:
    """Write each card into a file named after its protocol; their paths."""
    paths = []
    for card in cards:
        paths.append(folder / f"{card.protocol}.json")
        atomic.write_text(paths[-1], card.file_text())
    return paths


def read_card(protocol: str, folder: Path = CARDS) -> Card | None:
    """The card of a protocol; None where its room has written none.

    Raises:
        Refusal: the file is not a card.
    """
    path = folder / f"{protocol}.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        settings = content if isinstance(content, list) else content["settings"]
        questions = [] if isinstance(content, list) else content.get("open_questions", content.get("open", []))
        return Card(protocol, tuple(_setting(item) for item in settings), tuple(_text(item) for item in questions))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(f"{path}: not a protocol card ({error!r})") from error


def _setting(item: dict[str, Any]) -> Setting:
    return Setting(_text(item["setting"]), _text(item["value"]), _text(item["source"]), _text(item.get("note", "")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
