"""What this machine, or several, provide for fine-tuning a detector."""

import re
from dataclasses import dataclass

from results.refusal import Refusal
from transfer.run import Run

_MEETING_PLACE = re.compile(r"tcp://([^\s/:]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
LAST_PORT = 65_535


@dataclass(frozen=True)
class DetectionRun(Run):
    """The settings of a run that fine-tunes a detector.

    On several machines the same command is started on each, with its own `node_rank`; `output` and `records` must be
    folders that all of them share. The one with rank 0 writes the record.
    """

    nodes: int = 1
    """How many machines take part, each with the same number of GPUs."""
    node_rank: int = 0
    """Which of them this is, from 0."""
    rendezvous: str = ""
    """Where the processes meet, "tcp://HOST:PORT" of the machine with rank 0; needed for more than one."""
    checkpoint_iterations: int = 1000
    """A checkpoint to resume from is written after each of these many iterations."""

    def __post_init__(self) -> None:
        """Raises Refusal naming the first field that is out of range."""
        super().__post_init__()
        if self.nodes < 1 or not 0 <= self.node_rank < self.nodes:
            raise Refusal(f"run.node_rank is {self.node_rank} of run.nodes {self.nodes}; ranks go from 0 to nodes - 1")
        place = _MEETING_PLACE.fullmatch(self.rendezvous)
        if (self.nodes > 1 or self.rendezvous) and not (place and 0 < int(place["port"]) <= LAST_PORT):
            raise Refusal(
                f"run.nodes is {self.nodes} and run.rendezvous {self.rendezvous!r}; "
                "set run.rendezvous to tcp://HOST:PORT of the machine with rank 0"
            )
        if self.checkpoint_iterations < 1:
            raise Refusal(f"run.checkpoint_iterations is {self.checkpoint_iterations}; it must be 1 or more")
