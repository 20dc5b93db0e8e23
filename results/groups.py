"""Records of the same measurement under different seeds, gathered into one group with its mean and spread."""

from collections.abc import Sequence
from dataclasses import dataclass

from results.records import Record
from results.statistics import Summary, summarize


@dataclass(frozen=True)
class Group:
    """Records that differ in nothing but the seed; `superseded` counts older ones of a seed measured again."""

    records: tuple[Record, ...]
    superseded: int
    summary: Summary

    @property
    def first(self) -> Record:
        """Any of them: all but seed, value and circumstances is the same."""
        return self.records[0]

    @property
    def cell(self) -> str:
        """The cell they measure."""
        return self.first.cell

    @property
    def label(self) -> str:
        """The row of the paper, or the control, whose weights were measured."""
        return self.first.checkpoint.label

    @property
    def sha256(self) -> str:
        """The digest of the checkpoint file."""
        return self.first.checkpoint.sha256

    @property
    def corpus(self) -> str:
        """ "official" or "digits"."""
        return self.first.dataset.corpus

    @property
    def subset(self) -> str:
        """The part of the data used, or ""."""
        return self.first.dataset.subset

    @property
    def protocol(self) -> str:
        """The named protocol."""
        return self.first.protocol

    @property
    def deviations(self) -> tuple[str, ...]:
        """Its settings that differ from the named protocol's."""
        return self.first.deviations


def group_records(records: Sequence[Record]) -> list[Group]:
    """Groups in the order of their first record; of several records with one seed the newest stands."""
    gathered: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        gathered.setdefault(_identity(record), []).append(record)
    return [_group(found) for found in gathered.values()]


def _identity(record: Record) -> tuple[str, ...]:
    checkpoint, dataset, measurement = record.checkpoint, record.dataset, record.measurement
    return (
        record.cell, checkpoint.label, checkpoint.sha256, dataset.corpus, dataset.fingerprint, dataset.subset,
        measurement.unit, str(measurement.sample_count), str(sorted(dataset.counts.items())),
        record.protocol, record.protocol_hash, *record.deviations,
    )  # fmt: skip


def _group(records: Sequence[Record]) -> Group:
    newest: dict[int, Record] = {}
    for record in sorted(records, key=lambda found: found.moment):
        newest[record.seed] = record
    kept = tuple(newest[seed] for seed in sorted(newest))
    return Group(kept, len(records) - len(kept), summarize([record.measurement.value for record in kept]))
