"""Every long command, struck at random moments with SIGKILL, SIGTERM and SIGUSR1, ends with the undisturbed number.

Pretraining, with its own promise of equal bits, is in pretrain/test_crash.py.
"""

import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests import crash

SOFT = (signal.SIGTERM, signal.SIGUSR1)
PROBE = ("--protocol.epochs", "2", "--protocol.drop-epochs", "1")
DETECTOR = (
    "--protocol.train-short-sides", "64", "--protocol.test-short-side", "64", "--protocol.max-long-side", "96",
    "--protocol.regions-per-image", "4", "--protocol.proposals-train", "8", "--protocol.proposals-test", "4",
    "--protocol.precise-bn-iterations", "1", "--protocol.iterations", "3", "--protocol.lr-drops", "2",
    "--protocol.warmup-iterations", "1",
    "--run.checkpoint-iterations", "1",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One command at its smallest; `limit` 0 takes the whole digits corpus.

    Not `exact` where the library's threads share random numbers: the record is the same to 0.1 points.
    """

    room: str
    protocol: str
    data: str
    options: tuple[str, ...]
    cells: int
    limit: int = 64
    workers: int = 1
    kills: int = 3
    exact: bool = True

    def command(self, digits: Path, folder: Path, log: Path) -> crash.Command:
        """The command with everything it writes below `folder`."""
        places = {"data": digits / self.data, "output": folder / "out", "records": folder / "records"}
        settings = {"checkpoint": "random-init", "limit": self.limit, "workers": self.workers, "device": "cpu"}
        flags = [word for name, value in (places | settings).items() for word in (f"--run.{name}", str(value))]
        return crash.Command(["-m", self.room, self.protocol, *flags, *self.options], log)


ROWS = {
    "linear": Row(
        "evaluate", "linear-demo", "imagenet", ("--protocol.epochs", "2", "--run.save-every-seconds", "0"), cells=2
    ),
    "semi": Row(
        "evaluate", "semi-10pct-demo", "imagenet", ("--protocol.epochs", "2", "--run.save-every-seconds", "0"), cells=2
    ),
    "knn": Row("evaluate", "knn-demo", "imagenet", (), cells=2, limit=600),
    "native probe": Row("transfer", "places205-demo", "places205", ("--run.engine", "native", *PROBE), cells=1),
    "VISSL probe": Row("transfer", "places205-demo", "places205", PROBE, cells=1, kills=2),
    "SVM": Row("transfer", "voc07-demo", "VOCdevkit", ("--protocol.costs", "1.0", "10.0"), cells=1, limit=0),
    "VISSL SVM": Row(
        "transfer", "voc07-demo", "VOCdevkit", ("--protocol.costs", "1.0", "10.0", "--run.engine", "vissl"), cells=1,
        limit=0, kills=2, exact=False,
    ),
    "Faster R-CNN": Row("transfer", "voc0712-demo", "VOCdevkit", DETECTOR, cells=1, limit=25, workers=0, kills=2),
    "Mask R-CNN": Row("transfer", "coco-demo", "coco", DETECTOR, cells=2, limit=25, workers=0, kills=2),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize("name", ROWS)
def test_struck_at_random_moments_it_ends_with_one_record_a_cell(name: str, digits_root: Path, tmp_path: Path) -> None:
    row = ROWS[name]
    whole, struck = tmp_path / "whole", tmp_path / "struck"
    life = row.command(digits_root, whole, tmp_path / "whole.log").finish()
    expected = crash.measured(whole / "records")
    assert len(expected) == row.cells

    def compare_and_clear() -> None:
        found = crash.measured(struck / "records")
        if not row.exact:
            for cell, wanted in expected.items():
                assert found[cell].value == pytest.approx(wanted.value, abs=0.1)
                found[cell] = replace(found[cell], value=wanted.value, details=wanted.details)
        assert found == expected
        crash.assert_nothing_left(struck)
        shutil.rmtree(struck)

    command = row.command(digits_root, struck, tmp_path / "struck.log")
    counts = crash.survive(command, kills=row.kills, seed=len(name), life=life, done=compare_and_clear, others=SOFT)
    print(f"\ncrash matrix: {name}: {counts}; a whole run takes {life:.1f} s")


def reproduce(digits: Path, folder: Path, log: Path) -> crash.Command:
    """Two stages: one that computes in the child itself, one in a child of the child with workers of its own."""
    folder.mkdir()
    (folder / "digits").symlink_to(digits, target_is_directory=True)
    words = ["--scale", "smoke", "--checkpoint", "random-init", "--root", str(folder), "--only", "knn", "voc07"]
    return crash.Command(["-m", "results", "reproduce", *words, "--skip-doctor"], log)


@pytest.mark.slow
def test_a_struck_reproduce_leaves_no_stage_running_and_ends_with_every_record(
    digits_root: Path, tmp_path: Path
) -> None:
    whole, struck = tmp_path / "whole", tmp_path / "struck"
    life = reproduce(digits_root, whole, tmp_path / "whole.log").finish()
    expected = crash.measured(whole / "records")
    assert set(expected) == {"table5/knn_20/top1", "table5/knn_200/top1", "table2/voc07/mAP"}
    command = reproduce(digits_root, struck, tmp_path / "struck.log")

    def compare_and_clear() -> None:
        assert crash.measured(struck / "records") == expected
        crash.assert_nothing_left(struck)
        shutil.rmtree(struck)
        reproduce(digits_root, struck, command.log)

    counts = crash.survive(command, kills=3, seed=9, life=life, done=compare_and_clear, others=SOFT)
    print(f"\ncrash matrix: reproduce: {counts}; a whole run takes {life:.1f} s")
