"""Processes that end when the one that started them is gone, however it went. The Linux kernel keeps the watch."""

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_LIBC = ctypes.CDLL(None)


def end_with(parent: int) -> None:
    """From now on this process gets SIGTERM when its parent, process `parent`, dies; at once if it has died already."""
    if hasattr(_LIBC, "prctl"):
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def ending_with_this_process() -> Callable[[], None]:
    """For Popen's `preexec_fn`: the child gets SIGTERM when this process dies, so that a killed command leaves none.

    To be used from the main thread: the kernel takes the end of the thread that started the child for the parent's.
    """
    parent = os.getpid()
    return lambda: end_with(parent)
