"""When a rank is lost the others say which one, and all of them end, instead of waiting or failing each in its own way.

Beside their collectives the ranks share a key-value store. A thread in every rank waits there for an alarm, answers it,
and hears the others: who left words went wrong by itself, who does not answer is dead, and who answers although nobody
waits with it hangs. A rank that is stuck in a collective is ended by its thread.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from torch.distributed.distributed_c10d import Store

from results.refusal import Failure

POLL_SECONDS = 0.5
ANSWER_SECONDS = 5.0
WAITED = "waited"
ROOMS = Path(__file__).parents[1]


class RollCall:
    """One rank's part. `store` is the ranks' own; it lives in the first rank's process or in the launcher's."""

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self._main, self._store = threading.get_ident(), store.clone()
        self._words = ""
        self._raised, self._left, self._heard = threading.Event(), threading.Event(), threading.Event()
        self._news = threading.Event()  # one of the first two
        self._sentence, self._speaks = "", False
        self._thread = threading.Thread(target=self._attend, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """The work here ended well. The rank that may hold the store stays until the others have left too."""
        self._left.set()
        self._news.set()
        self._thread.join(ANSWER_SECONDS)

    def fail(self, words: str) -> None:
        """This rank ends for a reason of its own; `words` tell the others."""
        self._words = words
        self._raised.set()
        self._news.set()
        self._heard.wait(2 * ANSWER_SECONDS)
        if self.rank == 0:
            self._thread.join(ANSWER_SECONDS)

    def lost(self, error: BaseException) -> BaseException:
        """What to raise in place of a collective's `error`: one rank says which was lost, the others are silent."""
        self.fail(WAITED)
        if not self._heard.is_set() or not self._sentence:
            self._sentence = f"rank 0, at which the ranks meet, is gone or hangs ({first_line(error)})"
            self._speaks = self.rank == 1
        return Failure(self._sentence) if self._speaks else SystemExit(1)

    def _attend(self) -> None:
        try:
            if self._alarmed():
                self._answer()
                self._conclude()
                self._heard.set()
            self._see_the_others_off()
        except RuntimeError:
            return  # the store is gone, and with it rank 0 or the launcher
        finally:
            self._heard.set()
        if self._sentence and not self._words and not self._left.wait(ANSWER_SECONDS / 2) and not self._raised.is_set():
            self._end_the_process()

    def _alarmed(self) -> bool:
        while not self._news.wait(POLL_SECONDS):
            if self._store.check(["alarm"]):
                return True
        return self._raised.is_set()

    def _answer(self) -> None:
        if self._words:
            self._store.set(f"words/{self.rank}", self._words)
        self._store.set(f"present/{self.rank}", _place(sys._current_frames().get(self._main)))
        self._store.set("alarm", "")

    def _conclude(self) -> None:
        self._until(self._is_clear)
        words, present = self._those("words"), self._those("present")
        own = {rank: text for rank, text in words.items() if text != WAITED}
        absent = [rank for rank in range(self.size) if rank not in present]
        stuck = [rank for rank in present if rank not in words]
        if own:
            self._sentence = "; ".join(_ended(rank, text) for rank, text in own.items())
        elif absent:
            self._sentence = f"{_ranks(absent)} died or stopped: no answer within {ANSWER_SECONDS:g} seconds"
        elif stuck:
            self._sentence = "; ".join(f"rank {rank} hangs at {present[rank]}" for rank in stuck)
        else:
            self._sentence = "a connection between the ranks broke, although all of them are alive"
        self._sentence += "; the same command continues from the last state"
        # Ranks that conclude at different moments know different things: the first of them speaks for all.
        self._speaks = self.rank not in own and self._store.add("speaker", 1) == 1

    def _see_the_others_off(self) -> None:
        """The store must not vanish before the others have heard what it holds."""
        self._store.set(f"left/{self.rank}", "")
        self._until(lambda: self.rank != 0 or len(self._those("left")) == self.size)

    def _is_clear(self) -> bool:
        """Whether waiting longer would tell no more: somebody has said what went wrong, or all are known to wait."""
        words = self._those("words")
        if any(text != WAITED for text in words.values()):
            return True
        return len(words) == self.size

    def _those(self, kind: str) -> dict[int, str]:
        keys = {rank: f"{kind}/{rank}" for rank in range(self.size)}
        return {rank: self._store.get(key).decode() for rank, key in keys.items() if self._store.check([key])}

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while not condition() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 5)

    def _end_the_process(self) -> None:
        if self._speaks:
            print(f"error: {self._sentence}", file=sys.stderr, flush=True)
        os._exit(1)


def first_line(error: BaseException) -> str:
    """The error's type and the first line of what it says."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def _ended(rank: int, words: str) -> str:
    return words if words.startswith(f"rank {rank} ") else f"rank {rank} ended: {words}"


def _ranks(ranks: list[int]) -> str:
    return ("rank " if len(ranks) == 1 else "ranks ") + ", ".join(map(str, ranks))


def _place(frame: FrameType | None) -> str:
    """The innermost line of this suite that a thread is at, as "pretrain/loader.py:88"; else where it is."""
    outermost = frame
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOMS) and ".venv" not in path.parts:
            return f"{path.relative_to(ROOMS)}:{frame.f_lineno}"
        frame = frame.f_back
    return f"{outermost.f_code.co_filename}:{outermost.f_lineno}" if outermost is not None else "an unknown place"
