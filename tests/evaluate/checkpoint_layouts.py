"""Files in the layout of every public source, as each library's own saving code writes them; built from one state."""

import argparse
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

State = dict[str, torch.Tensor]


def exclude_bias_and_norm(parameter: torch.Tensor) -> bool:
    """Stands for the function of the same name that VICReg's optimizer keeps."""
    return parameter.ndim == 1


def save(content: Any, path: Path, *, function_of: str = "__main__", **options: Any) -> Path:
    """torch.save as if `exclude_bias_and_norm` were defined in the module `function_of`, which is gone afterwards."""
    modules = pytest.MonkeyPatch()
    with modules.context() as patch:
        if function_of != "__main__":
            patch.setitem(sys.modules, function_of, types.ModuleType(function_of))
        patch.setattr(sys.modules[function_of], "exclude_bias_and_norm", exclude_bias_and_norm, raising=False)
        patch.setattr(exclude_bias_and_norm, "__module__", function_of)
        torch.save(content, path, **options)
    return path


def under(prefix: str, state: State) -> State:
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def extra(*names: str) -> State:
    return {name: torch.zeros(3) for name in names}


def sequential(state: State) -> State:
    numbers = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    return {".".join([numbers[name.split(".")[0]], *name.split(".")[1:]]): tensor for name, tensor in state.items()}


def transformers(state: State) -> State:
    """The names that transformers' own converter gives to torchvision's."""
    renamed = {}
    for name, tensor in state.items():
        head, *rest = name.split(".")
        if head in ("conv1", "bn1"):
            kind = "convolution" if head == "conv1" else "normalization"
            renamed[f"embedder.embedder.{kind}.{rest[0]}"] = tensor
            continue
        block, part, *last = rest
        where = f"encoder.stages.{int(head[5]) - 1}.layers.{block}"
        if part == "downsample":
            kind = "convolution" if last[0] == "0" else "normalization"
            renamed[f"{where}.shortcut.{kind}.{last[1]}"] = tensor
        else:
            kind = "convolution" if part.startswith("conv") else "normalization"
            renamed[f"{where}.layer.{int(part[-1]) - 1}.{kind}.{last[0]}"] = tensor
    return renamed


def vicreg_full(state: State) -> Any:
    filters = {"weight_decay_filter": exclude_bias_and_norm, "lars_adaptation_filter": exclude_bias_and_norm}
    groups = [{"lr": 0.0, "params": [0], **filters}]
    projector = [f"module.projector.{name}" for name in ("0.weight", "0.bias", "1.running_mean", "6.weight")]
    return {
        "epoch": 1000,
        "model": under("module.backbone.", state) | extra(*projector),
        "optimizer": {"state": {0: {"mu": torch.zeros(2)}}, "param_groups": groups},
    }


def vicreg_evaluation(state: State) -> Any:
    return {
        "epoch": 3,
        "best_acc": argparse.Namespace(top1=73.2, top5=91.1),
        "model": under("module.backbone.", state) | extra("module.projector.0.weight"),
    }


def barlow_full(state: State) -> Any:
    return {
        "epoch": 1000,
        "model": under("module.backbone.", state) | extra("module.projector.0.weight", "module.bn.running_mean"),
        "optimizer": {"state": {}, "param_groups": []},
    }


def moco(head: str) -> Callable[[State], Any]:
    def build(state: State) -> Any:
        other = {name: tensor + 1 if tensor.ndim else tensor for name, tensor in state.items()}
        queue = extra("module.queue", "module.queue_ptr", f"module.encoder_q.{head}")
        return {
            "epoch": 200,
            "arch": "resnet50",
            "state_dict": under("module.encoder_q.", state) | under("module.encoder_k.", other) | queue,
            "optimizer": {},
        }

    return build


def dino_full(state: State) -> Any:
    other = {name: tensor + 1 if tensor.ndim else tensor for name, tensor in state.items()}
    return {
        "student": under("module.backbone.", other) | extra("module.head.mlp.0.weight"),
        "teacher": under("backbone.", state) | extra("head.mlp.0.weight"),
        "args": argparse.Namespace(arch="resnet50"),
        "epoch": 800,
    }


def vissl(prefix: str) -> Callable[[State], Any]:
    def build(state: State) -> Any:
        trunk = under(prefix, state)
        return {"classy_state_dict": {"base_model": {"model": {"trunk": trunk, "heads": extra("0.clf.0.weight")}}}}

    return build


def within(container: str, prefix: str, *extras: str, **beside: Any) -> Callable[[State], Any]:
    return lambda state: {container: under(prefix, state) | extra(*extras), **beside}


def flat(prefix: str, *extras: str) -> Callable[[State], Any]:
    return lambda state: under(prefix, state) | extra(*extras)


LAYOUTS: dict[str, tuple[Callable[[State], Any], str]] = {
    "VICReg resnet50.pth": (flat(""), "flat backbone"),
    "VICReg fullckpt": (vicreg_full, "VICReg training"),
    "VICReg evaluation checkpoint": (vicreg_evaluation, "VICReg training"),
    "Barlow Twins checkpoint.pth": (barlow_full, "Barlow Twins training"),
    "MoCo v1": (moco("fc.weight"), "MoCo v1"),
    "MoCo v2": (moco("fc.2.weight"), "MoCo v2"),
    "SwAV hub": (flat("module.", "module.prototypes.weight", "module.projection_head.0.weight"), "SwAV"),
    "SwAV training": (within("state_dict", "module.", "module.prototypes.weight", amp={}), "SwAV training"),
    "SimSiam": (
        within("state_dict", "module.encoder.", "module.encoder.fc.0.weight", "module.predictor.0.weight"),
        "SimSiam",
    ),
    "DINO full": (dino_full, "DINO teacher"),
    "VISSL": (vissl("_feature_blocks."), "VISSL"),
    "VISSL feature extractor": (vissl("base_model._feature_blocks."), "VISSL feature extractor"),
    "PyContrast PIRL, InfoMin": (within("model", "module.encoder.", "module.head.0.weight"), "PyContrast (PIRL"),
    "PyContrast CMC": (within("model", "module.encoder1.", "module.encoder2.conv1.weight"), "PyContrast (CMC"),
    "solo-learn": (within("state_dict", "backbone.", "projector.0.weight", "classifier.weight"), "solo-learn"),
    "solo-learn legacy": (within("state_dict", "encoder.", "classifier.weight"), "solo-learn, before"),
    "lightly named": (within("state_dict", "backbone.", "projection_head.layers.0.weight"), "lightly"),
    "lightly Sequential": (lambda state: {"state_dict": under("backbone.", sequential(state))}, "lightly, nn.Seq"),
    "mmselfsup": (within("state_dict", "backbone.", "neck.0.weight", meta={"epoch": 100}), "mmselfsup"),
    "torchvision, timm": (flat("", "fc.weight", "fc.bias"), "torchvision or timm"),
    "transformers": (lambda state: under("resnet.", transformers(state)) | extra("classifier.1.weight"), "Hugging"),
}
