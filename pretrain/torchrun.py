"""torchrun as users need it: `python -m pretrain.torchrun --nproc-per-node 8 -m pretrain paper …`.

torchrun itself ends with status 1 and a traceback whatever happened in its ranks, and stops them with SIGTERM alone.
Here the first failed rank's exit status is the command's, so that "requeue" and "bad input" reach whoever started it;
what several ranks refuse in the same words is said once; SIGTERM, SIGUSR1 and SIGUSR2 are passed on, and the ranks end
by themselves. torchrun's own options hold, but for --max-restarts (the same command continues from the last state) and
--signals-to-handle; where no other node or rendezvous is named the ranks are those of this machine.
"""

import contextlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from types import FrameType

import psutil  # type: ignore[import-untyped]

from pretrain.interrupt import WARNINGS
from results.refusal import SAID_ONCE, Failure, Refusal, run_command_line

LEFT_TO_TORCHRUN = "SIGINT,SIGHUP,SIGQUIT"
ALONE = {"nnodes": "1:1", "rdzv_backend": "static", "rdzv_endpoint": "", "master_port": None}
"""torchrun's options where neither another node nor a place to meet is named."""


def command(gpus: int) -> list[str]:
    """What comes before `-m ROOM …` for this many ranks on this machine: an interpreter, and a launcher if needed."""
    ranks = ["-m", "pretrain.torchrun", "--nproc-per-node", str(gpus)] if gpus > 1 else []
    return [sys.executable, *ranks]


def torchrun(arguments: Sequence[str]) -> int:
    """Start the ranks, wait for them, and return the status of the one whose failure was seen first, or 0.

    Raises:
        Failure: that rank was ended by a signal which nobody sent to this process.
        Refusal: restarts are asked for; they would undo a requested stop.
    """
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # Each of its complaints repeats, with a traceback, what a rank has said or what is said below.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does, with a warning of five lines
    passed_on: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        passed_on.append(number)
        ranks = psutil.Process().children()
        if not ranks:
            raise SystemExit(128 + number)  # none has begun, or all have ended
        for rank in ranks:
            with contextlib.suppress(psutil.NoSuchProcess):
                rank.send_signal(number)

    for one in WARNINGS:
        signal.signal(one, pass_on)
    options = run.parse_args(list(arguments))  # type: ignore[no-untyped-call]
    options.signals_to_handle = LEFT_TO_TORCHRUN
    options.standalone = options.standalone or all(getattr(options, name) == value for name, value in ALONE.items())
    if options.max_restarts:
        raise Refusal("--max-restarts would start ranks anew that were asked to stop; repeat the same command instead")
    try:
        run.run(options)  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0 and -failure.exitcode not in passed_on:
            raise Failure(f"rank {rank} was ended by {failure.signal_name()}") from None
        return 128 - failure.exitcode if failure.exitcode < 0 else failure.exitcode
    except SignalException as error:
        return 128 + error.sigval.value
    return 0


def main() -> int:
    """Give the ranks a folder in which the first to refuse notes what it said, and start them."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[SAID_ONCE] = folder
        return torchrun(sys.argv[1:])


if __name__ == "__main__":
    run_command_line(main)
