"""What passes between the command and the engine that does the work: one job in, one outcome out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from results.records import CheckpointIdentity, DatasetIdentity, Measurement
from transfer.run import Run


class TransferProtocol(Protocol):
    """What every protocol of this room knows about itself; the rest is between it and its engine."""

    @property
    def dataset(self) -> str:
        """The data room's name of the data set, as "places205"."""
        ...

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of the paper's tables that one run of this protocol fills."""
        ...


P = TypeVar("P", bound=TransferProtocol, covariant=True)
R = TypeVar("R", bound=Run, covariant=True)


@dataclass(frozen=True)
class Job(Generic[P, R]):
    """One protocol to be measured for one checkpoint on one data set.

    `folder` exists, belongs to this job alone and is locked; what an interrupted run left in it may be continued.
    `resumed` says whether an earlier process left work in it to go on from.
    """

    protocol_name: str
    protocol: P
    run: R
    checkpoint: CheckpointIdentity
    dataset: DatasetIdentity
    folder: Path
    resumed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What an engine measured, one `Measurement` for each of the protocol's cells.

    `attachments` maps a kind ("predictions", "picture", "log") to a file in the run folder; it is copied beside the
    records. `extra_deviations` names what the engine had to do otherwise than the protocol says.
    """

    measurements: tuple[Measurement, ...]
    accelerator: str = ""
    attachments: Mapping[str, Path] = field(default_factory=dict)
    extra_deviations: tuple[str, ...] = ()
