"""What records must be like to stand beside the paper's number: their data, settings, unit and number of images."""

import functools
from dataclasses import dataclass

from results.groups import Group
from results.stages import protocol_of
from results.tables import PAPER, targets, tolerances
from results.typed import read_csv

TEST_SPLITS = ("val", "test")


@dataclass(frozen=True)
class ProtocolHash:
    """A protocol at the paper's size, and the hash of its settings."""

    protocol: str
    hash: str


@functools.cache
def protocol_hashes() -> dict[str, str]:
    """The settings hash of each protocol at the paper's size, by name; no room needs to be asked for it."""
    return {item.protocol: item.hash for item in read_csv(PAPER / "protocol_hashes.csv", ProtocolHash)}


def why_not_counted(group: Group) -> str:
    """Why a group of records is no reproduction of its cell, or "" when it is one."""
    if group.corpus != "official":
        return f"not the published data set: {dict(group.first.dataset.counts)} images"
    if group.deviations:
        return "; ".join(group.deviations)
    if group.subset:
        return f"on a part of the data: {group.subset}"
    expected = protocol_of(group.cell)
    if group.protocol != expected:
        return f"protocol {group.protocol}, the paper's is {expected}"
    if not has_known_hash(group.protocol, group.first.protocol_hash):
        known = protocol_hashes()[group.protocol]
        return f"settings {group.first.protocol_hash[:8]}, those of protocol {group.protocol} are {known[:8]}"
    return why_no_measurement(group) or _why_not_the_test_set(group)


def has_known_hash(protocol: str, found: str) -> bool:
    """Whether `found` is the hash of the protocol's settings; any is where the protocol has none in the table."""
    return protocol_hashes().get(protocol, found) == found


def _why_not_the_test_set(group: Group) -> str:
    """Whoever calls data official must have measured on as many images as the published test set has."""
    tolerance = tolerances().get(group.cell)
    published, found = tolerance.test_images if tolerance else None, group.first.measurement.sample_count
    return f"on {found} images, the published test set has {published}" if published not in (None, found) else ""


def why_no_measurement(group: Group) -> str:
    """Why the number is none of its cell, or "": another unit, or not one of every test image."""
    measurement, counts = group.first.measurement, group.first.dataset.counts
    unit = targets()[group.cell].unit
    if measurement.unit != unit:
        return f"in {measurement.unit}, the paper's number is in {unit}"
    whole = next((counts[split] for split in TEST_SPLITS if split in counts), measurement.sample_count)
    if measurement.sample_count != whole:
        return f"on {measurement.sample_count} images, the test split has {whole}"
    return ""
