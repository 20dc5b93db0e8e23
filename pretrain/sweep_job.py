"""One row of a sweep as a job of a cluster: its commands one after another, each on all ranks of the job."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import submitit

from pretrain.child import call
from pretrain.interrupt import REQUEUE_STATUS


@dataclass(frozen=True)
class SweepJob:
    """A pretraining's and its probes' commands; every rank runs them as torchrun would."""

    name: str
    folder: Path
    commands: tuple[list[str], ...]

    def __call__(self) -> int:
        """Run the commands until one fails; returns its status, or 0."""
        # Every rank keeps seeing all GPUs of its node and takes the one of its local rank.
        submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        port = int(os.environ["MASTER_PORT"])
        for position, command in enumerate(self.commands):
            # A port of its own for each command: the one before may not be free again yet.
            status = call(command, {**os.environ, "MASTER_PORT": str(port + position)})
            if status == REQUEUE_STATUS:
                # The work is saved; now the handler that requeues the job, submitit's, may have its signal.
                signal.raise_signal(signal.SIGUSR2)
            if status:
                return status
        return 0

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What to requeue: the same commands; those that are done say so at once."""
        return submitit.helpers.DelayedSubmission(self)
