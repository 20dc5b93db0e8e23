"""States survive damage: the newest whole one is found, its card describes it, and only the last few stay."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pretrain import checkpoint
from pretrain.card import read_card
from results.refusal import Refusal

CARD = {"label": "VICReg"}


def save(folder: Path, step: int, keep: int = 3) -> Path:
    state = {"step": step, "weight": torch.full((64,), float(step)), "note": {"a": [1, "b"]}}
    return checkpoint.save_state(folder, state, CARD, keep=keep)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    save(tmp_path, 7)
    found = checkpoint.last_state(tmp_path)
    assert found is not None
    state = checkpoint.load_state(found)
    assert state["step"] == 7 and state["note"] == {"a": [1, "b"]}
    assert torch.equal(state["weight"], torch.full((64,), 7.0))


def test_only_the_last_states_stay_and_each_has_its_card(tmp_path: Path) -> None:
    for step in (1, 2, 10, 9_999):
        save(tmp_path, step, keep=2)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == [f"step_{step:09d}.pt{end}" for step in (10, 9_999) for end in ("", ".json")]


@pytest.mark.parametrize("cut", [0, 1, 0.5, -1], ids=["empty", "one byte", "half", "last byte missing"])
def test_a_truncated_state_is_passed_over_for_the_one_before(
    cut: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier, later = save(tmp_path, 1), save(tmp_path, 2)
    size = later.stat().st_size
    os.truncate(later, int(size * cut) if 0 < cut < 1 else int(cut) % size)
    assert checkpoint.last_state(tmp_path) == earlier
    assert str(later) in capsys.readouterr().err


def test_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    earlier, later = save(tmp_path, 1), save(tmp_path, 2)
    content = bytearray(later.read_bytes())
    content[len(content) // 2] ^= 1
    later.write_bytes(content)
    assert checkpoint.last_state(tmp_path) == earlier


def test_a_state_without_card_was_never_finished(tmp_path: Path) -> None:
    earlier, later = save(tmp_path, 1), save(tmp_path, 2)
    later.with_name(later.name + ".json").unlink()
    assert checkpoint.last_state(tmp_path) == earlier


def test_no_state_is_no_error(tmp_path: Path) -> None:
    assert checkpoint.last_state(tmp_path) is None


def test_a_file_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"step": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(Exception, match=r"weights_only|Unsupported|GLOBAL"):
        checkpoint.load_state(tmp_path / "trap.pt")
    assert not (tmp_path / "ran").exists()


def test_the_backbone_file_is_flat_and_its_card_has_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "resnet50.pth"
    checkpoint.save_backbone(path, {"conv1.weight": torch.ones(2, 3, 1, 1)}, CARD)
    assert list(torch.load(path, weights_only=True)) == ["conv1.weight"]
    card = json.loads((tmp_path / "resnet50.pth.json").read_text())
    digest = card.pop("digest")
    assert card == {"label": "VICReg", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    canonical = json.dumps(card, sort_keys=True, separators=(",", ":"))
    assert digest == hashlib.sha256(canonical.encode()).hexdigest()


def test_a_damaged_card_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.pth.json").write_text("{")
    with pytest.raises(Refusal, match=r"a\.pth\.json"):
        read_card(tmp_path / "a.pth")


def test_an_unfinished_write_leaves_the_earlier_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = save(tmp_path, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(Refusal, match="No space left"):
        save(tmp_path, 2)
    assert checkpoint.last_state(tmp_path) == earlier
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


FILLS_THE_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from pretrain import checkpoint
from results.refusal import run_command_line
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
count, size = map(int, sys.argv[2:])
state = {"step": 2, "weights": [torch.zeros(size) for _ in range(count)]}
run_command_line(lambda: checkpoint.save_state(Path(sys.argv[1]), state, {}, keep=3) and None)
"""


@pytest.mark.parametrize(("count", "size"), [(1, 100_000), (100, 1_000), (1, 24_840)])
def test_a_disk_that_fills_up_while_a_state_is_written_is_one_line(count: int, size: int, tmp_path: Path) -> None:
    earlier = save(tmp_path, 1)
    done = subprocess.run(
        [sys.executable, "-c", FILLS_THE_DISK, str(tmp_path), str(count), str(size)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    state = tmp_path / "checkpoints" / "step_000000002.pt"
    expected = f"error: cannot write {state}: File too large; free space or choose another folder\n"
    assert (done.returncode, done.stderr) == (2, expected)
    assert checkpoint.last_state(tmp_path) == earlier
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_infinities_and_nans_in_any_tensor_are_found() -> None:
    good = [torch.ones(3), torch.zeros(2, dtype=torch.int64), torch.ones(1, dtype=torch.bfloat16)]
    assert checkpoint.all_finite(good)
    for bad in (float("nan"), float("inf"), -float("inf")):
        assert not checkpoint.all_finite([*good, torch.tensor([1.0, bad])])
