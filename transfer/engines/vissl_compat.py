"""VISSL 0.1.6 was written for the libraries of 2021; each function here meets one thing that has changed since.

Import this module before anything of VISSL: its own import already makes VISSL importable, in every process.
"""

import functools
import os
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from results import atomic, sealed

CHECKPOINTS_KEPT = 2

# NumPy 1.24 removed this alias of the built-in; VISSL's SVM evaluation still asks for it.
if "float" not in vars(np):
    np.float = float  # type: ignore[attr-defined]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the announcements of removal that VISSL's imports set off; they would hide the line that matters.

    VISSL imports pkg_resources and calls parts of hydra, torchvision and torch.jit that will go; the versions in this
    environment still have them.
    """
    with warnings.catch_warnings():
        for category in (UserWarning, DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        yield


def adapt() -> None:
    """Apply what can only be applied once VISSL is imported; safe to call twice, needed in every process."""
    _keep_environment_out_of_logs()
    _write_checkpoints_atomically()
    _read_checkpoints_in_every_process()
    _let_vissl_load_its_own_checkpoints()


def _keep_environment_out_of_logs() -> None:
    # VISSL logs every environment variable at start, access tokens included.
    import vissl.engines.train as engine

    engine.print_system_env_info = lambda environment: None


def _write_checkpoints_atomically() -> None:
    # VISSL writes its checkpoints in place and resumes from the newest, so one cut short by a kill would end every
    # later attempt. It also keeps those of all epochs; the newest is all that resuming takes.
    import vissl.utils.checkpoint as checkpoint

    checkpoint.save_checkpoint = save_atomically


def _read_checkpoints_in_every_process() -> None:
    # classy_vision sends a checkpoint to the other processes as a Python list of its bytes, even to nobody: ten
    # seconds for a ResNet-50. All processes are on one machine here and can read the file.
    import vissl.utils.checkpoint as checkpoint

    checkpoint.load_and_broadcast_checkpoint = checkpoint.load_checkpoint


def _let_vissl_load_its_own_checkpoints() -> None:
    # torch.load reads only plain tensors since 2.6; VISSL's checkpoints also hold its configuration objects.
    from vissl.config import AttrDict

    torch.serialization.add_safe_globals([AttrDict])


def adapt_svm() -> None:
    """Let VISSL's SVM trainer store its results, whole or not at all, and come to the same ones; safe to call twice."""
    import vissl.utils.svm_utils.svm_trainer as svm_trainer
    from iopath.common.file_io import g_pathmgr
    from sklearn.svm import LinearSVC
    from vissl.utils.svm_utils.evaluate import get_precision_recall

    # VISSL leaves LIBLINEAR's order of coordinates to chance.
    svm_trainer.LinearSVC = functools.partial(LinearSVC, random_state=0)
    # It takes a file that exists for a class that is done, also one that a kill has cut short.
    svm_trainer.save_file = _save_array
    svm_trainer.g_pathmgr = _AtomicPaths(g_pathmgr)
    # VISSL's AP is an array of one element, which NumPy 2.4 no longer puts into a single place of another array.

    def with_plain_ap(*arguments: Any) -> tuple[Any, Any, Any, float]:
        precision, recall, score, ap = get_precision_recall(*arguments)
        return precision, recall, score, float(np.ravel(ap)[0])

    svm_trainer.get_precision_recall = with_plain_ap


class _AtomicPaths:
    """iopath's manager, with files opened for writing that appear whole or not at all."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def open(self, path: str, mode: str = "r") -> Any:
        return atomic.atomic_file(Path(path)) if mode == "wb" else self._plain.open(path, mode)


def _save_array(values: Any, path: str) -> None:
    with atomic.atomic_file(Path(path)) as file:
        np.save(file, values, allow_pickle=False)


def save_atomically(checkpoint_folder: str, state: dict[str, Any], checkpoint_file: str) -> str:
    """What classy_vision's save_checkpoint does, whole or not at all, with a digest; the last two epochs' files stay.

    The final checkpoint gets no digest: nothing resumes from it, and VISSL would take the digest's file for it.
    """
    folder = Path(checkpoint_folder)
    target = folder / checkpoint_file
    with atomic.atomic_file(target) as file:
        torch.save(state, file)
    if checkpoint_file.startswith("model_final"):
        return str(target)
    sealed.seal(target)
    epochs = sorted(folder.glob("model_phase*.torch"), key=lambda path: path.stat().st_mtime_ns)
    for older in epochs[:-CHECKPOINTS_KEPT]:
        sealed.unseal(older)
    return str(target)


def reseeding_hook(seed: int) -> Any:
    """A VISSL hook that seeds every generator anew at the start of each epoch.

    VISSL seeds once when a process starts, so an interrupted run would see other crops after its restart than an
    uninterrupted one. Seeding from the epoch's number makes both the same.
    """
    from classy_vision.hooks.classy_hook import ClassyHook

    class ReseedEachPhase(ClassyHook):  # type: ignore[misc]
        on_phase_start = ClassyHook._noop
        on_forward = ClassyHook._noop
        on_loss_and_meter = ClassyHook._noop
        on_backward = ClassyHook._noop
        on_update = ClassyHook._noop
        on_step = ClassyHook._noop
        on_exception = ClassyHook._noop

        def on_start(self, task: Any) -> None:
            seed_phase(seed, task.phase_idx + 1)

        def on_phase_end(self, task: Any) -> None:
            # The next phase's data workers draw their seeds before its start is announced to hooks.
            seed_phase(seed, task.phase_idx + 1)

        on_end: Callable[..., None] = ClassyHook._noop

    return ReseedEachPhase()


def seed_phase(seed: int, phase: int) -> None:
    """Seed Python, NumPy and torch for one phase (training or test epoch) of one rank."""
    value = (seed * 1_000_003 + phase * 1_009 + int(os.environ.get("RANK", "0"))) % 2**32
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
