"""A warning before training has begun loses nothing: the process leaves at once, to be started again."""

import os
import signal

import pytest

from pretrain.interrupt import REQUEUE_STATUS, WARNINGS, Interruption, leaving_at_once


@pytest.mark.parametrize("number", WARNINGS)
def test_a_warning_while_nothing_is_to_save_leaves_with_the_requeue_status(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as end, leaving_at_once():
        os.kill(os.getpid(), number)
    assert end.value.code == REQUEUE_STATUS
    assert signal.getsignal(number) == before


def test_a_clusters_own_handler_goes_first() -> None:
    called: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: called.append(number))
    try:
        with pytest.raises(SystemExit), leaving_at_once():
            os.kill(os.getpid(), signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert called == [signal.SIGUSR2]


def test_once_training_has_taken_over_a_warning_is_remembered_until_the_next_step() -> None:
    with leaving_at_once(), Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert interruption.requested == signal.SIGUSR1
