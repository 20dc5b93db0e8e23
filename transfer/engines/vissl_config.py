"""From a linear protocol and this machine to a VISSL configuration: VISSL's own file, and a small delta over it.

Nothing here imports VISSL or torch, so the delta can be read, printed and tested anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.refusal import Refusal
from transfer.protocols import Head, LinearProtocol

# VISSL's files for these benchmarks, in its package `configs`; what the delta does not touch is as they say.
BASES: Mapping[str, str] = {
    "places205": "benchmark/linear_image_classification/places205/eval_resnet_8gpu_transfer_places205_linear",
    "inat18": "benchmark/linear_image_classification/inaturalist18/eval_resnet_8gpu_transfer_inaturalist18_linear",
}
IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


@dataclass(frozen=True)
class Machine:
    """What VISSL runs on: how many processes, on GPUs or on the CPU, and where it reads and writes."""

    processes: int
    gpu: bool
    workers: int
    folder: Path
    """VISSL's checkpoint folder, where it also writes its metrics."""
    weights: Path
    seed: int
    port: int = 0
    """The rendezvous port on this machine, or 0 for any free one."""


def batch_size_per_process(protocol: LinearProtocol, processes: int) -> int:
    """The protocol's global batch divided among `processes`.

    Raises:
        Refusal: it does not divide evenly; the effective batch would silently differ.
    """
    if protocol.global_batch_size % processes:
        raise Refusal(
            f"protocol.global_batch_size {protocol.global_batch_size} cannot be split over {processes} GPUs; "
            "choose --run.gpus that divides it"
        )
    return protocol.global_batch_size // processes


def delta(protocol: LinearProtocol, machine: Machine, class_count: int, lists: Mapping[str, Path]) -> dict[str, Any]:
    """The settings under VISSL's `config` that differ from its file, as nested plain JSON.

    `lists` maps "train_images", "train_labels", "val_images", "val_labels" to the .npy files that VISSL reads.
    """
    batch_size = batch_size_per_process(protocol, machine.processes)
    return {
        "SEED_VALUE": machine.seed,
        # forkserver starts every worker of every epoch anew; without CUDA fork is safe and much faster.
        "MULTI_PROCESSING_METHOD": "forkserver" if machine.gpu else "fork",
        "LOG_FREQUENCY": 10,
        "DATA": {
            "NUM_DATALOADER_WORKERS": machine.workers,
            "PIN_MEMORY": machine.gpu,
            "TRAIN": _split(lists, "train", _training_transforms(protocol), batch_size),
            "TEST": _split(lists, "val", _test_transforms(protocol), batch_size),
        },
        "MODEL": _model(protocol, machine, class_count),
        "OPTIMIZER": _optimizer(protocol),
        "DISTRIBUTED": _distributed(machine),
        "MACHINE": {"DEVICE": "gpu" if machine.gpu else "cpu"},
        "HOOKS": {"PERF_STATS": {"MONITOR_PERF_STATS": False}},
        "CHECKPOINT": {"DIR": str(machine.folder), "AUTO_RESUME": True, "CHECKPOINT_FREQUENCY": 1},
    }


def learning_rates(protocol: LinearProtocol) -> list[float]:
    """The learning rate between the drops, first to last."""
    return [protocol.peak_lr / 10**drops for drops in range(len(protocol.drop_epochs) + 1)]


def _split(lists: Mapping[str, Path], split: str, transforms: list[dict[str, Any]], batch_size: int) -> dict[str, Any]:
    # File lists serve whole data sets and subsets alike and give both splits the same labels.
    return {
        "DATA_SOURCES": ["disk_filelist"],
        "LABEL_SOURCES": ["disk_filelist"],
        "DATASET_NAMES": [f"listed_{split}"],
        "DATA_PATHS": [str(lists[f"{split}_images"])],
        "LABEL_PATHS": [str(lists[f"{split}_labels"])],
        "BATCHSIZE_PER_REPLICA": batch_size,
        "TRANSFORMS": transforms,
        "MMAP_MODE": True,
        "COPY_TO_LOCAL_DISK": False,
    }


def _training_transforms(protocol: LinearProtocol) -> list[dict[str, Any]]:
    crop = {"name": "RandomResizedCrop", "size": protocol.image_size, "scale": list(protocol.crop_area)}
    flip = [{"name": "RandomHorizontalFlip"}] if protocol.flip else []
    return [crop, *flip, *_to_tensor()]


def _test_transforms(protocol: LinearProtocol) -> list[dict[str, Any]]:
    resize = {"name": "Resize", "size": protocol.resize}
    return [resize, {"name": "CenterCrop", "size": protocol.image_size}, *_to_tensor()]


def _to_tensor() -> list[dict[str, Any]]:
    return [{"name": "ToTensor"}, {"name": "Normalize", "mean": IMAGENET_MEAN, "std": IMAGENET_STD}]


def _model(protocol: LinearProtocol, machine: Machine, class_count: int) -> dict[str, Any]:
    return {
        "FEATURE_EVAL_SETTINGS": {"LINEAR_EVAL_FEAT_POOL_OPS_MAP": [pool_operation(head) for head in protocol.heads]},
        "HEAD": {
            "PARAMS": [
                [
                    "eval_mlp",
                    {"in_channels": head.channels, "dims": [head.feature_count(protocol.image_size), class_count]},
                ]
                for head in protocol.heads
            ]
        },
        "WEIGHTS_INIT": {"PARAMS_FILE": str(machine.weights), "STATE_DICT_KEY_NAME": "classy_state_dict"},
        # One process needs no synchronisation, and torch's SyncBatchNorm works on GPUs only.
        "SYNC_BN_CONFIG": {
            "CONVERT_BN_TO_SYNC_BN": machine.gpu and machine.processes > 1,
            "SYNC_BN_TYPE": "pytorch",
            "GROUP_SIZE": machine.processes,
        },
    }


def pool_operation(head: Head) -> list[Any]:
    """One entry of VISSL's LINEAR_EVAL_FEAT_POOL_OPS_MAP."""
    if not head.kernel:
        return [head.layer, ["Identity", []]]
    return [head.layer, ["AvgPool2d", [[head.kernel, head.kernel], head.stride, head.padding]]]


def _optimizer(protocol: LinearProtocol) -> dict[str, Any]:
    schedule = {
        "auto_lr_scaling": {"auto_scale": False},
        "name": "multistep",
        "values": learning_rates(protocol),
        "milestones": list(protocol.drop_epochs),
        "update_interval": "epoch",
    }
    return {
        "name": "sgd",
        "weight_decay": protocol.weight_decay,
        "momentum": protocol.momentum,
        "nesterov": protocol.nesterov,
        "num_epochs": protocol.epochs,
        "regularize_bn": False,
        "regularize_bias": True,
        "param_schedulers": {"lr": schedule},
    }


def _distributed(machine: Machine) -> dict[str, Any]:
    return {
        "BACKEND": "nccl" if machine.gpu else "gloo",
        "NUM_NODES": 1,
        "NUM_PROC_PER_NODE": machine.processes,
        "INIT_METHOD": "tcp",
        "RUN_ID": f"localhost:{machine.port}" if machine.port else "auto",
    }
