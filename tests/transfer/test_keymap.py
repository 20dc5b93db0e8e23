"""The renamings are total, invertible, and agree with the names the libraries themselves use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.refusal import Refusal
from transfer import keymap

# A few names read off Detectron2's and VISSL's own modules by hand.
DETECTRON2_SAMPLES = {
    "conv1.weight": "stem.conv1.weight",
    "bn1.running_var": "stem.conv1.norm.running_var",
    "layer1.0.downsample.0.weight": "res2.0.shortcut.weight",
    "layer1.0.downsample.1.bias": "res2.0.shortcut.norm.bias",
    "layer3.5.conv2.weight": "res4.5.conv2.weight",
    "layer4.2.bn3.num_batches_tracked": "res5.2.conv3.norm.num_batches_tracked",
}


def test_there_are_318_tensors_of_which_53_count_batches() -> None:
    keys = keymap.torchvision_keys()
    assert len(keys) == len(set(keys)) == 318
    assert sum(key.endswith("num_batches_tracked") for key in keys) == 53


def test_the_names_and_their_order_are_those_of_torchvision() -> None:
    from torchvision.models import resnet50

    assert list(keymap.torchvision_keys()) == [key for key in resnet50().state_dict() if not key.startswith("fc.")]


@pytest.mark.parametrize(("here", "there"), DETECTRON2_SAMPLES.items())
def test_detectron2_names_are_as_read_from_its_modules(here: str, there: str) -> None:
    assert keymap.table("detectron2")[here] == there


def test_vissl_names_are_torchvisions_behind_its_prefix() -> None:
    assert keymap.table("vissl")["layer2.3.bn1.weight"] == "_feature_blocks.layer2.3.bn1.weight"


@pytest.mark.parametrize("library", keymap.LIBRARIES)
def test_there_and_back_is_the_same_state(library: keymap.Library) -> None:
    state = {key: number for number, key in enumerate(keymap.torchvision_keys())}
    there = keymap.rename(state, library)
    assert len(set(there)) == 318
    back = keymap.rename_back(there, library)
    assert back == state
    assert list(back) == list(state)


@pytest.mark.parametrize("library", keymap.LIBRARIES)
@given(index=st.integers(0, 317))
def test_any_missing_tensor_is_named(library: keymap.Library, index: int) -> None:
    state = dict.fromkeys(keymap.torchvision_keys(), 0)
    lost = keymap.torchvision_keys()[index]
    del state[lost]
    with pytest.raises(Refusal, match=f"1 of 318 .* '{lost}'"):
        keymap.rename(state, library)


@pytest.mark.parametrize("library", keymap.LIBRARIES)
def test_a_classifier_is_refused_in_both_directions(library: keymap.Library) -> None:
    state = {**dict.fromkeys(keymap.torchvision_keys(), 0), "fc.weight": 1}
    with pytest.raises(Refusal, match=r"fc\.weight"):
        keymap.rename(state, library)
    renamed = {**dict.fromkeys(keymap.table(library).values(), 0), "fc.weight": 1}
    with pytest.raises(Refusal, match=r"fc\.weight"):
        keymap.rename_back(renamed, library)
