"""A conversion that is wrong in any way is caught before anything trains; a right one is shown to be right."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evaluate.checkpoint import Backbone
from results.refusal import Refusal
from transfer import convert, keymap
from transfer.detection_protocols import COCO, VOC0712
from transfer.engines import detectron2_proof
from transfer.engines.detectron2_proof import prove

pytestmark = pytest.mark.engine

Content = dict[str, Any]


@pytest.fixture(scope="module")
def converted(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("converted") / "backbone.pkl"
    convert.write(backbone.state_dict, "detectron2", path)
    return path


def changed(converted: Path, folder: Path, change: Callable[[Content], object]) -> Path:
    content = pickle.loads(converted.read_bytes())
    change(content["model"])
    path = folder / "changed.pkl"
    path.write_bytes(pickle.dumps(content))
    return path


def test_every_tensor_arrives_in_both_detectors_and_computes_the_same(backbone: Backbone, converted: Path) -> None:
    proof = prove(converted, backbone)
    # 53 convolutions and 53 batch norms of 5 tensors each are 318, in each of the two detectors.
    assert (proof.matched, proof.expected) == (2 * 318, 2 * 318)
    assert proof.largest_difference <= 1e-5
    # res5 has 3 blocks of 3 convolutions and a projection: 10 convolutions and norms, 60 tensors.
    assert "318 of 318 tensors matched (258 in the backbone, 60 in the res5 head)" in proof.lines[0]
    assert "318 of 318 tensors matched (318 in the backbone)" in proof.lines[2]
    assert all(
        f"{name} " in proof.lines[1] and f"{name} " in proof.lines[3] for name in ("res2", "res3", "res4", "res5")
    )


def rename_one(model: Content) -> None:
    model["res3.1.conv2.wait"] = model.pop("res3.1.conv2.weight")


def drop_one(model: Content) -> None:
    del model["res5.2.conv3.norm.running_var"]


def transpose_a_square_one(model: Content) -> None:
    # (64, 64, 1, 1) either way: only its values tell.
    model["res2.0.conv1.weight"] = np.ascontiguousarray(model["res2.0.conv1.weight"].transpose(1, 0, 2, 3))


def transpose_a_rectangular_one(model: Content) -> None:
    model["res2.0.conv3.weight"] = np.ascontiguousarray(model["res2.0.conv3.weight"].transpose(1, 0, 2, 3))


def turn_the_stem_to_bgr(model: Content) -> None:
    model["stem.conv1.weight"] = np.ascontiguousarray(model["stem.conv1.weight"][:, ::-1])


def swap_two_of_one_shape(model: Content) -> None:
    one, two = "res4.1.conv2.weight", "res4.2.conv2.weight"
    model[one], model[two] = model[two], model[one]


def ship_the_classifier(model: Content) -> None:
    model["fc.weight"] = np.zeros((1000, 2048), np.float32)


def lose_all_names(model: Content) -> None:
    for name in list(model):
        model[f"{name}.x"] = model.pop(name)


@pytest.mark.parametrize("protocol", [VOC0712, COCO], ids=["C4", "FPN"])
@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (rename_one, "res3.1.conv2"),
        (drop_one, "res5.2.conv3.norm.running_var"),
        (transpose_a_square_one, "res2.0.conv1.weight"),
        (transpose_a_rectangular_one, "res2.0.conv3.weight"),
        (turn_the_stem_to_bgr, "stem.conv1.weight"),
        (swap_two_of_one_shape, "res4.1.conv2.weight"),
        (ship_the_classifier, "fc.weight"),
        (lose_all_names, "no place for 318 tensors"),
    ],
)
def test_a_damaged_file_is_refused_naming_the_tensor(
    damage: Callable[[Content], object], named: str, protocol: Any, backbone: Backbone, converted: Path, tmp_path: Path
) -> None:
    with pytest.raises(Refusal) as refusal:
        prove(changed(converted, tmp_path, damage), backbone, (protocol,))
    assert named in str(refusal.value)


def test_equal_names_with_another_network_behind_them_are_caught_by_the_features(
    backbone: Backbone, converted: Path
) -> None:
    # A stride in the 1x1 convolution is another network with the very same tensors.
    with pytest.raises(Refusal, match=r"computes other features"):
        prove(converted, backbone, (replace(COCO, stride_in_1x1=True),))


@pytest.mark.parametrize(
    "wrong",
    [{"channel_order": "BGR"}, {"pixel_mean": VOC0712.pixel_mean[::-1]}, {"pixel_std": (1.0, 1.0, 1.0)}],
    ids=["BGR", "BGR mean", "Detectron2's std"],
)
def test_pixels_in_another_order_or_normalisation_are_refused(
    wrong: dict[str, Any], backbone: Backbone, converted: Path
) -> None:
    with pytest.raises(Refusal, match="ImageNet's normalised RGB"):
        prove(converted, backbone, (replace(VOC0712, **wrong),))


def test_a_file_that_is_no_pickle_is_refused(backbone: Backbone, tmp_path: Path) -> None:
    (tmp_path / "broken.pkl").write_bytes(b"not a pickle")
    with pytest.raises(Refusal, match="cannot load it"):
        prove(tmp_path / "broken.pkl", backbone, (COCO,))


def test_back_again_gives_the_same_bytes(backbone: Backbone, converted: Path, tmp_path: Path) -> None:
    there = pickle.loads(converted.read_bytes())["model"]
    back = keymap.rename_back({name: torch.from_numpy(value) for name, value in there.items()}, "detectron2")
    convert.write(backbone.state_dict, "torchvision", tmp_path / "before.pth")
    convert.write(back, "torchvision", tmp_path / "after.pth")
    assert (tmp_path / "after.pth").read_bytes() == (tmp_path / "before.pth").read_bytes()


@pytest.mark.parametrize("protocol", [VOC0712, COCO], ids=["C4", "FPN"])
def test_the_backbone_comes_back_out_of_a_loaded_detector_bit_for_bit(
    protocol: Any, backbone: Backbone, converted: Path
) -> None:
    model, _ = detectron2_proof._load(converted, protocol, "detector")
    there = {}
    for place, tensor in model.state_dict().items():
        name = place.removeprefix("backbone.").removeprefix("bottom_up.").removeprefix("roi_heads.")
        if name in keymap.table("detectron2").values():
            there[name] = tensor
    back = keymap.rename_back(there, "detectron2")
    assert list(back) == list(backbone.state_dict)
    assert [name for name in back if not torch.equal(back[name], backbone.state_dict[name])] == []


def test_converting_by_command_proves_first_and_leaves_nothing_when_it_fails(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "resnet50.pth"
    torch.save(backbone.state_dict, checkpoint)
    proof, _ = convert.convert(str(checkpoint), "detectron2", tmp_path / "good.pkl")
    assert proof.matched == proof.expected == 636

    table = dict(keymap.table("detectron2"))
    table["conv1.weight"], table["bn1.weight"] = table["bn1.weight"], table["conv1.weight"]
    monkeypatch.setattr(keymap, "table", lambda library: table)
    with pytest.raises(Refusal):
        convert.convert(str(checkpoint), "detectron2", tmp_path / "bad.pkl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.pkl", "resnet50.pth"]
