"""No process outlives the command that started it, however that ended."""

import os
import threading
import time

SECONDS_BETWEEN_LOOKS = 0.5
ORPHANED_STATUS = 3


def die_with_parent(parent: int) -> None:
    """End this process within about a second after its parent process `parent` is gone.

    A thread looks, since signals on a parent's death exist on Linux alone. It ends the process without clean-up: a
    checkpoint that is being written then stays unnamed by `last_checkpoint`, and the one before is used.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent watch").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(ORPHANED_STATUS)
