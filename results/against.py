"""Two checkpoints compared image by image, for every cell in which both kept their predictions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.groups import Group, group_records
from results.predictions import pair, read_predictions
from results.records import Record
from results.refusal import Refusal
from results.statistics import PairedDifference, paired_bootstrap
from results.tables import METHOD, targets

SHORTEST_DIGEST = 6


@dataclass(frozen=True)
class Duel:
    """One cell's comparison of two checkpoints under the same protocol, data and seed.

    `difference` is None where it cannot be had, for the `reason` given.
    """

    cell: str
    corpus: str
    ours: Record
    theirs: Record
    difference: PairedDifference | None
    reason: str


def duels(records: Sequence[Record], folder: Path, against: str) -> list[Duel]:
    """Every comparison of a VICReg checkpoint with the one that `against` names, in the order of the paper's cells.

    Raises:
        Refusal: `against` names no measured checkpoint, or several.
    """
    theirs = _named(group_records(records), against)
    other = theirs[0].sha256
    ours = [g for g in group_records(records) if g.label == METHOD and g.sha256 != other]
    found = [_duel(*pairing, folder) for pairing in _pairings(ours, theirs)]
    if not found:
        raise Refusal(f"no cell was measured for both {METHOD} and {against!r} with the same protocol, data and seed")
    return found


def _named(groups: Sequence[Group], against: str) -> list[Group]:
    by_label = [group for group in groups if group.label == against]
    by_digest = [g for g in groups if len(against) >= SHORTEST_DIGEST and g.sha256.startswith(against.lower())]
    found = by_label or by_digest
    known = sorted({f"{group.label!r} ({group.sha256[:12]})" for group in groups})
    if not found:
        raise Refusal(f"--against {against!r} names no measured checkpoint; there are {', '.join(known) or 'none'}")
    if len({group.sha256 for group in found}) > 1:
        digests = ", ".join(sorted({group.sha256[:12] for group in found}))
        raise Refusal(f"--against {against!r} names several checkpoints; give one of {digests}")
    return found


def _pairings(ours: Sequence[Group], theirs: Sequence[Group]) -> Iterator[tuple[Record, Record]]:
    for cell in targets():
        for our_group in (group for group in ours if group.cell == cell):
            for their_group in (group for group in theirs if group.cell == cell):
                if _terms(our_group.first) == _terms(their_group.first):
                    seeds = {record.seed: record for record in their_group.records}
                    shared = [record for record in our_group.records if record.seed in seeds]
                    yield from ((record, seeds[record.seed]) for record in shared[:1])


def _terms(record: Record) -> tuple[str, str, str, tuple[str, ...]]:
    return record.protocol_hash, record.dataset.fingerprint, record.dataset.subset, record.protocol_deviations


def _duel(ours: Record, theirs: Record, folder: Path) -> Duel:
    cell, corpus = ours.cell, ours.dataset.corpus
    try:
        mine, other = read_predictions(ours, folder), read_predictions(theirs, folder)
        if mine is None or other is None:
            return Duel(cell, corpus, ours, theirs, None, "no per-image predictions were kept")
        return Duel(cell, corpus, ours, theirs, paired_bootstrap(*pair(mine, other)), "")
    except Refusal as refusal:
        return Duel(cell, corpus, ours, theirs, None, str(refusal))
