"""Conversions: proven before the file appears, the same bytes for the same weights, and back bit for bit."""

import hashlib
from pathlib import Path

import pytest
import torch

from evaluate.checkpoint import Backbone, load_backbone
from results.refusal import Refusal
from transfer import convert as room
from transfer import keymap
from transfer.convert import Target, convert, write
from transfer.proof import TOLERANCE, Proof, compare, fixed_images, reference_features


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flat torchvision file of random weights."""
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    torch.save(load_backbone("random-init").state_dict, path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_torchvision_file_is_proven_and_its_digest_printed_is_the_files(weights: Path, tmp_path: Path) -> None:
    proof, digest = convert(str(weights), "torchvision", tmp_path / "out.pth")
    assert (proof.matched, proof.expected, proof.largest_difference) == (318, 318, 0.0)
    assert digest == sha256(tmp_path / "out.pth")


def test_to_vissl_and_back_is_the_same_torchvision_file_bit_for_bit(weights: Path, tmp_path: Path) -> None:
    state = load_backbone(weights).state_dict
    write(state, "torchvision", tmp_path / "first.pth")
    write(state, "vissl", tmp_path / "there.torch")
    write(load_backbone(tmp_path / "there.torch").state_dict, "torchvision", tmp_path / "back.pth")
    assert sha256(tmp_path / "back.pth") == sha256(tmp_path / "first.pth")


def test_the_vissl_file_has_the_containers_its_loader_asks_for(weights: Path, tmp_path: Path) -> None:
    write(load_backbone(weights).state_dict, "vissl", tmp_path / "there.torch")
    model = torch.load(tmp_path / "there.torch", weights_only=True)["classy_state_dict"]["base_model"]["model"]
    assert set(model) == {"trunk", "heads"}
    assert len(model["trunk"]) == 318
    assert "_feature_blocks.layer4.2.conv3.weight" in model["trunk"]


def test_an_existing_file_is_not_overwritten(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "out.pth").write_text("mine")
    with pytest.raises(Refusal, match="exists already"):
        convert(str(weights), "torchvision", tmp_path / "out.pth")
    assert (tmp_path / "out.pth").read_text() == "mine"


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        ("detectron2", "out.pth", "must end in .pkl"),
        ("detectron2", "out", "must end in .pkl"),
        ("torchvision", "x" * 300 + ".pth", "is too long for a file"),
        ("vissl", "file/out.torch", "file is not a folder"),
    ],
)
def test_a_file_that_could_not_be_written_or_read_is_refused_before_any_work(
    tmp_path: Path, target: Target, name: str, message: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match=message):
        convert("no checkpoint is looked at", target, tmp_path / name)


def test_weights_that_look_untrained_are_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(load_backbone("random-init").state_dict, tmp_path / "fresh.pth")
    convert(str(tmp_path / "fresh.pth"), "torchvision", tmp_path / "out.pth")
    said = capsys.readouterr().err
    assert said.startswith(f"warning: {tmp_path / 'fresh.pth'}: ") and said.endswith("these weights look untrained\n")


def test_a_conversion_whose_proof_fails_leaves_no_file(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(target: str, converted: Path, backbone: Backbone) -> Proof:
        assert converted.exists()
        raise Refusal("not proven")

    monkeypatch.setattr(room, "prove", fail)
    with pytest.raises(Refusal, match="not proven"):
        convert(str(weights), "vissl", tmp_path / "out.torch")
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.save(resnet18().state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(Refusal, match="no complete ResNet-50"):
        convert(str(tmp_path / "resnet18.pth"), "vissl", tmp_path / "out.torch")


def test_a_lost_tensor_is_named_by_the_writer(tmp_path: Path) -> None:
    state = load_backbone("random-init").state_dict
    del state["layer3.4.bn2.running_var"]
    for target in keymap.LIBRARIES:
        with pytest.raises(Refusal, match=r"layer3\.4\.bn2\.running_var"):
            write(state, target, tmp_path / "out")


def test_different_features_and_features_that_are_not_numbers_fail_the_proof() -> None:
    reference = {"res2": torch.zeros(2), "res5": torch.zeros(2)}
    assert compare("X", {**reference, "res5": torch.full((2,), TOLERANCE)}, reference) == pytest.approx(TOLERANCE)
    for wrong in (1.1 * TOLERANCE, float("nan"), float("inf")):
        with pytest.raises(Refusal, match="at res5"):
            compare("X", {**reference, "res5": torch.tensor([0.0, wrong])}, reference)


def test_the_reference_features_are_torchvisions_own() -> None:
    from torchvision.models import resnet50

    state = load_backbone("random-init").state_dict
    model = resnet50()
    model.fc = torch.nn.Identity()
    model.load_state_dict(state)
    images = fixed_images(1, 64)
    with torch.no_grad():
        pooled = model.eval()(images)
    maps = reference_features(state, images)
    assert [maps[name].shape[1] for name in ("res2", "res3", "res4", "res5")] == [256, 512, 1024, 2048]
    torch.testing.assert_close(maps["res5"].mean((2, 3)), pooled)
