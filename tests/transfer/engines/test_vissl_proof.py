"""The proof by VISSL's own loader and trunk, and the ways in which a wrong file fails it."""

from pathlib import Path

import pytest
import torch

from evaluate.checkpoint import Backbone
from results.refusal import Refusal
from transfer.convert import write
from transfer.engines import vissl_proof

pytestmark = pytest.mark.engine
TRUNK = ("classy_state_dict", "base_model", "model", "trunk")


@pytest.fixture
def converted(backbone: Backbone, tmp_path: Path) -> Path:
    write(backbone.state_dict, "vissl", tmp_path / "weights.torch")
    return tmp_path / "weights.torch"


def tamper(path: Path, change: object) -> None:
    content = torch.load(path, weights_only=True)
    trunk = content
    for key in TRUNK:
        trunk = trunk[key]
    change(trunk)  # type: ignore[operator]
    torch.save(content, path)


def test_a_converted_file_computes_exactly_what_the_original_does(backbone: Backbone, converted: Path) -> None:
    proof = vissl_proof.prove(converted, backbone)
    assert (proof.matched, proof.expected) == (318, 318)
    assert proof.largest_difference <= 1e-5
    assert "318 of 318 tensors" in proof.lines[0]


def test_a_renamed_tensor_is_caught_although_vissl_only_logs_it(backbone: Backbone, converted: Path) -> None:
    name = "_feature_blocks.layer2.1.conv2.weight"
    tamper(converted, lambda trunk: trunk.update({"x" + name: trunk.pop(name)}))
    with pytest.raises(
        Refusal, match=r"did not take 1 of 318 tensors, the first is '_feature_blocks\.layer2\.1\.conv2"
    ):
        vissl_proof.prove(converted, backbone)


def test_a_missing_batch_counter_is_caught(backbone: Backbone, converted: Path) -> None:
    tamper(converted, lambda trunk: trunk.pop("_feature_blocks.bn1.num_batches_tracked"))
    with pytest.raises(Refusal, match="did not take 1 of 318"):
        vissl_proof.prove(converted, backbone)


def test_weights_of_another_checkpoint_are_caught(backbone: Backbone, converted: Path) -> None:
    tamper(converted, lambda trunk: trunk["_feature_blocks.conv1.weight"].mul_(1.5))
    with pytest.raises(Refusal, match=r"the first is '_feature_blocks\.conv1\.weight'"):
        vissl_proof.prove(converted, backbone)
