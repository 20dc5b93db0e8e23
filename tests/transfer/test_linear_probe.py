"""The native probe: VISSL's heads, the paper's schedule, and interrupted runs that end like uninterrupted ones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from data.decode import ImageError
from evaluate.checkpoint import load_backbone
from evaluate.trunk import loaded_trunk
from results.records import CheckpointIdentity, DatasetIdentity
from results.refusal import Refusal
from transfer import linear_probe
from transfer.job import Job, Outcome
from transfer.linear_probe import learning_rate, measure, top_k_percent
from transfer.probe_heads import LinearHead, new_heads, parameter_groups, trunk_maps
from transfer.proof import reference_features
from transfer.protocols import PROTOCOLS, Head, LinearProtocol
from transfer.run import LinearRun

PLACES = PROTOCOLS["places205"]
DEMO = PROTOCOLS["places205-demo"]
assert isinstance(PLACES, LinearProtocol)
assert isinstance(DEMO, LinearProtocol)
SHORT = replace(DEMO, epochs=2, drop_epochs=(1,))


def job(data: Path, folder: Path, protocol: LinearProtocol = SHORT) -> Job[LinearProtocol, LinearRun]:
    run = LinearRun("random-init", data, seed=1, limit=60, workers=0, device="cpu", engine="native")
    folder.mkdir(exist_ok=True)
    dataset = DatasetIdentity("places205", "digits", "f", {})
    return Job("places205-demo", protocol, run, CheckpointIdentity("a", "b", "c"), dataset, folder)


def curve(outcome: Outcome) -> object:
    return outcome.measurements[0].details["top1_by_epoch"]


def test_the_rate_falls_tenfold_after_each_drop_epoch() -> None:
    rates = [learning_rate(PLACES, epoch) for epoch in (0, 3, 4, 7, 8, 11, 12, 27)]
    assert rates == pytest.approx([3e-3, 3e-3, 3e-4, 3e-4, 3e-5, 3e-5, 3e-6, 3e-6])


def test_top_k_counts_the_label_among_the_k_highest() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [2.0, 3.0, 1.0]])
    labels = torch.tensor([0, 1, 2])
    assert top_k_percent(scores, labels, 1) == pytest.approx(100 / 3)
    assert top_k_percent(scores, labels, 2) == pytest.approx(200 / 3)
    assert top_k_percent(scores, labels, 5) == 100.0  # fewer classes than k


def test_only_the_linear_layers_decay_bias_included() -> None:
    heads = new_heads(DEMO.heads, 32, 10, seed=0)
    decayed, plain = parameter_groups(heads, 1e-4)
    shapes = sorted(tuple(p.shape) for p in decayed["params"])  # type: ignore[attr-defined]
    assert shapes == [(10,), (10,), (10, 1024), (10, 2048)]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (1e-4, 0.0)
    assert sum(len(group["params"]) for group in (decayed, plain)) == len(list(heads.parameters()))  # type: ignore[arg-type]


def test_leaving_a_head_out_changes_no_other() -> None:
    both = new_heads(DEMO.heads, 32, 10, seed=3)
    alone = new_heads(DEMO.heads[1:], 32, 10, seed=3)
    for name, tensor in alone["res5avg"].state_dict().items():
        assert torch.equal(tensor, both["res5avg"].state_dict()[name])


def test_the_trunks_maps_are_torchvisions() -> None:
    state = load_backbone("random-init").state_dict
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    trunk = loaded_trunk(state, torch.device("cpu"))
    found = trunk_maps(trunk, images, ["conv1", "res2", "res3", "res4", "res5", "res5avg"])
    for name, expected in reference_features(state, images).items():
        torch.testing.assert_close(found[name], expected)
    assert found["conv1"].shape == (2, 64, 32, 32)
    assert found["conv1"].min() >= 0
    torch.testing.assert_close(found["res5avg"].flatten(1), trunk(images))


@pytest.mark.engine
@pytest.mark.parametrize("head", [Head("res5avg"), Head("res4", kernel=2), Head("res3", kernel=3, stride=1, padding=1)])
def test_a_head_is_vissls_eval_mlp(head: Head) -> None:
    from transfer.engines import vissl_compat
    from transfer.engines.vissl_proof import BASES

    with vissl_compat.quiet():
        from transfer.engines.vissl_worker import compose

        config = compose(BASES["inat18"], {})
        from vissl.models.heads.linear_eval_mlp import LinearEvalMLP

        width = head.feature_count(32)
        torch.manual_seed(5)
        theirs = LinearEvalMLP(config.MODEL, head.channels, [width, 7])
    (ours,) = new_heads([head], 32, 7, seed=5).values()
    assert isinstance(ours, LinearHead)
    assert [tuple(p.shape) for p in ours.parameters()] == [tuple(p.shape) for p in theirs.parameters()]
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
    pool = nn.AvgPool2d(head.kernel, head.stride, head.padding) if head.kernel else nn.Identity()
    side = head.map_side(32)
    maps = torch.randn(6, head.channels, side, side)
    torch.testing.assert_close(ours(maps), theirs(pool(maps)))


def test_an_interrupted_run_continues_and_ends_with_the_same_numbers(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = digits_root / "places205"
    whole = measure(job(data, tmp_path / "whole"))

    real: Callable[..., None] = linear_probe._save_state

    def save_and_stop(*arguments: object) -> None:
        real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(linear_probe, "_save_state", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        measure(job(data, tmp_path / "cut"))
    monkeypatch.setattr(linear_probe, "_save_state", real)
    resumed = measure(job(data, tmp_path / "cut"))
    assert curve(resumed) == curve(whole)
    assert resumed.measurements == whole.measurements


def test_the_record_carries_every_head_and_says_that_vissl_was_not_used(digits_root: Path, tmp_path: Path) -> None:
    outcome = measure(job(digits_root / "places205", tmp_path / "run", replace(SHORT, epochs=1)))
    (found,) = outcome.measurements
    assert set(found.details["heads"]) == {"res4", "res5avg"}
    assert found.details["engine"] == "native"
    assert outcome.extra_deviations == ("run.engine: vissl -> native",)


def test_a_class_missing_from_val_is_refused_before_training(copy_digits: Callable[..., Path], tmp_path: Path) -> None:
    data = copy_digits("places205") / "places205"
    first = sorted((data / "val").iterdir())[0]
    for image in first.iterdir():
        image.unlink()
    first.rmdir()
    with pytest.raises(Refusal, match=f"lacks the class '{first.name}'"):
        measure(job(data, tmp_path / "run"))


def test_a_truncated_jpeg_is_named(copy_digits: Callable[..., Path], tmp_path: Path) -> None:
    data = copy_digits("places205") / "places205"
    for image in (data / "train").rglob("*.jpg"):
        image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(ImageError, match=r"\.jpg"):
        measure(job(data, tmp_path / "run"))
