import json
import os
import pickle
import re
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import checkpoint_layouts as layouts
import pytest
import torch
from checkpoint_layouts import save

from evaluate.checkpoint import load_backbone
from evaluate.containers import read_tree
from evaluate.trunk import loaded_trunk, trunk_features
from results.refusal import Refusal

State = dict[str, torch.Tensor]
CPU = torch.device("cpu")


def write_safetensors(tensors: State, path: Path, metadata: dict[str, str] | None = None) -> Path:
    """Written after the published description, not with the reader's code."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    body = b""
    kinds = {torch.float32: "F32", torch.int64: "I64"}
    for name, tensor in tensors.items():
        content = tensor.numpy().tobytes()
        header[name] = {
            "dtype": kinds[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(body), len(body) + len(content)],
        }
        body += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


def assert_same(found: State, expected: State) -> None:
    assert set(found) == set(expected)
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_every_published_layout_gives_the_same_weights_and_its_name(
    name: str, resnet50_state: State, tmp_path: Path
) -> None:
    build, source = layouts.LAYOUTS[name]
    # The extension says nothing: formats are told by content.
    backbone = load_backbone(save(build(resnet50_state), tmp_path / "weights.bin"))
    assert_same(backbone.state_dict, resnet50_state)
    assert backbone.source.startswith(source)
    assert backbone.warnings == ()


def test_the_older_torch_container_is_read_too(resnet50_state: State, tmp_path: Path) -> None:
    content = layouts.vicreg_full(resnet50_state)
    path = save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_same(load_backbone(path).state_dict, resnet50_state)


@pytest.mark.parametrize("build", [layouts.flat(""), layouts.LAYOUTS["transformers"][0]])
def test_plain_safetensors_are_read(build: Any, resnet50_state: State, tmp_path: Path) -> None:
    content = dict(build(resnet50_state))
    backbone = load_backbone(write_safetensors(content, tmp_path / "model", {"format": "pt"}))
    assert_same(backbone.state_dict, resnet50_state)
    assert "safetensors" in backbone.source


def test_weights_from_any_layout_give_the_features_of_torchvisions_own_model(
    resnet50_state: State, tmp_path: Path
) -> None:
    from torchvision.models import resnet50

    reference = resnet50()
    reference.fc = torch.nn.Identity()
    reference.load_state_dict(resnet50_state)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference.eval().to(memory_format=torch.channels_last)(
            images.contiguous(memory_format=torch.channels_last)
        )
    for name in ("VISSL", "MoCo v2", "lightly Sequential", "transformers"):
        path = save(layouts.LAYOUTS[name][0](resnet50_state), tmp_path / "weights.pth")
        features = trunk_features(loaded_trunk(load_backbone(path).state_dict, CPU), images, "float32")
        assert torch.equal(features, expected), name


def test_files_without_batch_counters_load_strictly_with_zeros(resnet50_state: State, tmp_path: Path) -> None:
    bare = {name: tensor for name, tensor in resnet50_state.items() if "num_batches" not in name}
    state = load_backbone(save(bare, tmp_path / "bare.pth")).state_dict
    assert len(bare) == 265 and len(state) == 318
    assert int(state["bn1.num_batches_tracked"]) == 0
    loaded_trunk(state, CPU)


def test_a_part_can_be_chosen_and_is_another_checkpoint(resnet50_state: State, tmp_path: Path) -> None:
    path = save(layouts.dino_full(resnet50_state), tmp_path / "dino.pth")
    teacher, student = load_backbone(path), load_backbone(f"{path}#student")
    assert student.source.startswith("DINO student")
    assert torch.equal(student.state_dict["conv1.weight"], teacher.state_dict["conv1.weight"] + 1)
    assert student.sha256 != teacher.sha256


def test_two_equally_good_backbones_are_not_guessed_between(resnet50_state: State, tmp_path: Path) -> None:
    content = {"state_dict": layouts.under("backbone.", resnet50_state) | layouts.under("encoder.", resnet50_state)}
    with pytest.raises(Refusal, match=r"several.*#state_dict:backbone, .*#state_dict:encoder"):
        load_backbone(save(content, tmp_path / "two.pth"))


def test_a_missing_tensor_is_named(resnet50_state: State, tmp_path: Path) -> None:
    content = layouts.under("module.", resnet50_state)
    del content["module.layer3.4.bn2.running_var"]
    with pytest.raises(
        Refusal, match=r"264 of 265 tensors under 'module\.'.*missing module\.layer3\.4\.bn2\.running_var"
    ):
        load_backbone(save(content, tmp_path / "a.pth"))


@pytest.mark.parametrize("name", ["bn1.running_mean", "conv1.weight"])
def test_even_the_tensors_the_search_starts_from_may_be_the_missing_ones(
    name: str, resnet50_state: State, tmp_path: Path
) -> None:
    content = {key: tensor for key, tensor in resnet50_state.items() if key != name}
    with pytest.raises(Refusal, match=rf"missing {name}"):
        load_backbone(save(content, tmp_path / "a.pth"))


def test_a_misshapen_tensor_is_named_with_both_shapes(resnet50_state: State, tmp_path: Path) -> None:
    content = resnet50_state | {"layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)}
    with pytest.raises(
        Refusal, match=r"misshapen layer1\.0\.conv1\.weight \(64, 64, 3, 3\) instead of \(64, 64, 1, 1\)"
    ):
        load_backbone(save(content, tmp_path / "a.pth"))


def test_a_resnet18_is_refused_with_its_first_differences(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    with pytest.raises(Refusal, match=r"no complete ResNet-50.*missing layer1\.0\.conv3\.weight.*more"):
        load_backbone(save(resnet18().state_dict(), tmp_path / "a.pth"))


def test_a_resnet101_holds_all_265_tensors_and_is_refused_for_those_it_has_besides(tmp_path: Path) -> None:
    from torchvision.models import resnet101

    with pytest.raises(Refusal, match=r"no complete ResNet-50.*unexpected layer3\.10\.bn1\.bias.*more"):
        load_backbone(save(resnet101().state_dict(), tmp_path / "a.pth"))


def test_other_layers_inside_the_blocks_make_another_network(resnet50_state: State, tmp_path: Path) -> None:
    content = resnet50_state | {"layer1.0.se.fc1.weight": torch.zeros(16, 256, 1, 1)}
    with pytest.raises(Refusal, match=r"unexpected module\.encoder_q\.layer1\.0\.se\.fc1"):
        load_backbone(save({"state_dict": layouts.under("module.encoder_q.", content)}, tmp_path / "a.pth"))


def test_an_unknown_prefix_is_refused_with_the_way_to_insist(resnet50_state: State, tmp_path: Path) -> None:
    path = save(layouts.under("wrong.", resnet50_state), tmp_path / "a.pth")
    with pytest.raises(Refusal, match=r"'wrong\.' \(first tensor wrong\.conv1\.weight\).*a\.pth#wrong"):
        load_backbone(path)
    assert_same(load_backbone(f"{path}#wrong").state_dict, resnet50_state)


def test_only_the_momentum_encoder_is_not_the_backbone(resnet50_state: State, tmp_path: Path) -> None:
    content = {"state_dict": layouts.under("module.encoder_k.", resnet50_state)}
    with pytest.raises(Refusal, match=r"module\.encoder_k\.conv1\.weight"):
        load_backbone(save(content, tmp_path / "a.pth"))


@pytest.mark.parametrize(
    "declared",
    [{"config": {"MODEL": {"RESNETS": {"STRIDE_IN_1X1": True}}}}, {"config": {"downsample_in_bottleneck": True}}],
)
def test_a_declared_stride_in_the_1x1_is_refused(declared: Any, resnet50_state: State, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"1x1"):
        load_backbone(save({"model": resnet50_state, **declared}, tmp_path / "a.pth"))


def test_a_flag_that_denies_the_stride_in_the_1x1_is_no_reason(resnet50_state: State, tmp_path: Path) -> None:
    content = {"model": resnet50_state, "config": {"STRIDE_IN_1X1": False}}
    assert_same(load_backbone(save(content, tmp_path / "a.pth")).state_dict, resnet50_state)


@pytest.mark.parametrize("kept", [3, 2_000, 1_000_000])
@pytest.mark.parametrize("new_container", [True, False])
def test_a_truncated_file_is_refused(kept: int, new_container: bool, tmp_path: Path) -> None:
    path = save({"a": torch.zeros(500_000)}, tmp_path / "a.pth", _use_new_zipfile_serialization=new_container)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(Refusal, match=r"a\.pth"):
        load_backbone(path)


@pytest.mark.parametrize(
    ("name", "odd", "why"),
    [
        ("conv1.weight", lambda tensor: tensor.to(torch.int8), "torch.int8, not floating point"),
        ("conv1.weight", lambda tensor: tensor.to(torch.complex64), "torch.complex64, not floating point"),
        ("layer1.0.conv1.weight", lambda tensor: tensor.to_sparse(), "torch.sparse_coo on cpu"),
        ("layer1.0.conv1.weight", lambda tensor: tensor.to("meta"), "torch.strided on meta"),
    ],
)
def test_tensors_that_are_no_weights_are_named(
    name: str, odd: Any, why: str, resnet50_state: State, tmp_path: Path
) -> None:
    content = resnet50_state | {name: odd(resnet50_state[name])}
    with pytest.raises(Refusal, match=rf"misshapen {re.escape(name)} \({re.escape(why)}\)"):
        load_backbone(save(content, tmp_path / "a.pth"))


@pytest.mark.parametrize(
    "odd", [torch.zeros(2), torch.tensor(float("nan")), torch.zeros((), device="meta"), torch.eye(1).to_sparse()]
)
def test_a_batch_counter_that_is_none_counts_nothing(odd: torch.Tensor, resnet50_state: State, tmp_path: Path) -> None:
    content = resnet50_state | {"bn1.num_batches_tracked": odd}
    counter = load_backbone(save(content, tmp_path / "a.pth")).state_dict["bn1.num_batches_tracked"]
    assert counter.dtype == torch.int64 and counter.shape == () and counter == 0


def test_a_small_file_that_refers_to_itself_a_billion_times_over_is_read_at_once(tmp_path: Path) -> None:
    laughs: dict[str, Any] = {"x": torch.zeros(1)}
    for _ in range(7):
        laughs = {f"k{index}": laughs for index in range(60)}
    path = save({"laugh": laughs}, tmp_path / "a.pth")
    assert path.stat().st_size < 10_000
    with pytest.raises(Refusal, match="holds no tensors of a ResNet"):
        load_backbone(path)


@pytest.mark.parametrize("forgery", ["no bytes", "shared bytes", "negative shape"])
def test_a_safetensors_header_that_does_not_fit_its_bytes_is_refused(
    forgery: str, resnet50_state: State, tmp_path: Path
) -> None:
    content = write_safetensors(resnet50_state, tmp_path / "a.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    entry = header["layer4.2.conv2.weight"]
    if forgery == "no bytes":
        entry["data_offsets"][1] = entry["data_offsets"][0]
    elif forgery == "shared bytes":
        entry["data_offsets"] = header["layer4.1.conv2.weight"]["data_offsets"]
    else:
        entry["shape"][0] = -1
    forged = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(forged).to_bytes(8, "little") + forged + body)
    with pytest.raises(Refusal, match="damaged or truncated safetensors"):
        load_backbone(tmp_path / "a.safetensors")


def test_a_truncated_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = write_safetensors({"a": torch.zeros(100)}, tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(Refusal, match="damaged or truncated safetensors"):
        load_backbone(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"conv1.weight: 1, 2, 3\n", "neither a torch nor a safetensors file"),
        (b"\x00" * 64, "neither"),
    ],
)
def test_what_is_no_weights_file_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(Refusal, match=reason):
        load_backbone(tmp_path / "a.pth")


class Command:
    """Unpickling this runs a command that leaves a file."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("container", ["zip", "legacy", "pickle 2", "pickle 4"])
def test_a_pickle_that_would_run_a_command_is_refused_by_name_and_does_not_run(
    container: str, resnet50_state: State, tmp_path: Path
) -> None:
    path, witness = tmp_path / "a.pth", tmp_path / "witness"
    content = {"conv1.weight": torch.zeros(2), "x": Command(witness)}
    if container.startswith("pickle"):
        path.write_bytes(pickle.dumps({"x": Command(witness)}, protocol=int(container[-1])))
    else:
        save(content, path, _use_new_zipfile_serialization=container == "zip")
    with pytest.raises(Refusal, match=rf"{os.system.__module__}\.system"):
        load_backbone(path)
    assert not witness.exists()


def test_harmless_globals_are_not_imported(resnet50_state: State, tmp_path: Path) -> None:
    path = save(layouts.vicreg_full(resnet50_state), tmp_path / "a.pth", function_of="main_vicreg")
    assert_same(load_backbone(path).state_dict, resnet50_state)
    assert "main_vicreg" not in sys.modules


def test_a_function_of_that_name_from_elsewhere_is_refused(tmp_path: Path) -> None:
    path = save({"f": layouts.exclude_bias_and_norm}, tmp_path / "a.pth", function_of="elsewhere")
    with pytest.raises(Refusal, match=r"elsewhere\.exclude_bias_and_norm"):
        load_backbone(path)


def test_plain_pickles_of_arrays_are_refused_with_what_to_do(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "model_final.pkl"
    path.write_bytes(pickle.dumps({"model": {"stem.conv1.weight": np.zeros(3)}}, protocol=2))
    with pytest.raises(Refusal, match=r"plain pickle .*numpy.*torch\.save"):
        load_backbone(path)


def test_untrained_statistics_are_warned_of(resnet50_state: State, tmp_path: Path) -> None:
    untrained = {
        name: torch.zeros_like(tensor)
        if "running_mean" in name
        else torch.ones_like(tensor)
        if "running_var" in name
        else tensor
        for name, tensor in resnet50_state.items()
    }
    (warning,) = load_backbone(save(untrained, tmp_path / "a.pth")).warnings
    assert "untrained" in warning
    one = resnet50_state | {name: untrained[name] for name in ("bn1.running_mean", "bn1.running_var")}
    (warning,) = load_backbone(save(one, tmp_path / "b.pth")).warnings
    assert "1 of 53" in warning and "bn1" in warning


@pytest.mark.parametrize(
    ("value", "reason"), [(float("nan"), "not finite"), (float("inf"), "not finite"), (-1.0, "negative variances")]
)
def test_impossible_statistics_are_refused(value: float, reason: str, resnet50_state: State, tmp_path: Path) -> None:
    broken = resnet50_state | {"layer2.0.bn1.running_var": torch.full((128,), value)}
    with pytest.raises(Refusal, match=rf"layer2\.0\.bn1\.running_var holds .*{reason}"):
        load_backbone(save(broken, tmp_path / "a.pth"))


def test_the_random_control_is_the_same_every_time_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second = load_backbone("random-init"), load_backbone("random-init")
    assert torch.equal(torch.rand(1), expected)
    assert_same(first.state_dict, second.state_dict)


@pytest.mark.parametrize(("offset", "value"), [(8, 99), (6, 1)], ids=["packed by method 99", "encrypted"])
def test_a_zip_file_that_torch_never_writes_is_refused(offset: int, value: int, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data.pkl", pickle.dumps({}))
    content = bytearray(path.read_bytes())
    # The field in the file's own header, and in the directory at the end, where it lies two bytes later.
    content[offset] = content[content.index(b"PK\x01\x02") + offset + 2] = value
    path.write_bytes(content)
    with pytest.raises(Refusal, match="is damaged or truncated"):
        read_tree(path)
