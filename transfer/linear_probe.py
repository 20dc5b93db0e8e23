"""The native engine: the same linear protocol as VISSL's, without VISSL; for those who cannot have it, and as a check.

Every crop depends on the seed, the epoch and the image alone, and the state is kept after every epoch, so that an
interrupted run ends with the numbers of an uninterrupted one.
"""

import bisect
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from data.listing import ImageList, list_images
from data.progress import track
from evaluate.checkpoint import load_with_warnings
from evaluate.images import draw, epoch_order, normalised, pixel_batches
from evaluate.protocols import CenterView, RandomView
from evaluate.trunk import loaded_trunk, state_digest
from pretrain import checkpoint
from pretrain.distributed import joined_world
from results.refusal import Refusal
from transfer.engines.vissl_metrics import EpochMetrics, measurement
from transfer.job import Job, Outcome
from transfer.limits import refuse_lone_image
from transfer.probe_heads import new_heads, parameter_groups, trunk_maps
from transfer.protocols import LinearProtocol
from transfer.run import LinearRun

STATES_KEPT = 2
ENGINE_DEVIATION = "run.engine: vissl -> native"


@dataclass
class Probe:
    """Everything a training epoch touches; `epochs` holds the validation metrics so far."""

    protocol: LinearProtocol
    trunk: nn.Module
    heads: nn.ModuleDict
    optimizer: torch.optim.SGD
    device: torch.device
    epochs: list[EpochMetrics]


def measure(job: Job[LinearProtocol, LinearRun]) -> Outcome:
    """Train the protocol's heads from where an interrupted run stopped, and measure after every epoch.

    Raises:
        Refusal: the data or the checkpoint cannot be used, or the frozen trunk changed.
    """
    train, val = (
        list_images(job.run.data, job.protocol.dataset, split, limit=job.run.limit, seed=job.run.seed)
        for split in ("train", "val")
    )
    refuse_lone_image(len(train.paths), job.protocol.global_batch_size)
    with joined_world(job.run.device) as world:
        probe = _new_probe(job, len(train.classes), world.device)
        before = state_digest(probe.trunk)
        _load_state(probe, job.folder)
        while len(probe.epochs) < job.protocol.epochs:
            _train_epoch(probe, job, train)
            heads = _validate(probe, job, val)
            probe.epochs.append(EpochMetrics(len(probe.epochs) + 1, heads))
            _save_state(probe, job.folder)
        if state_digest(probe.trunk) != before:
            raise Refusal("the frozen trunk changed while its heads were trained")
    found = measurement(job.protocol, probe.epochs, len(val.paths), "native")
    accelerator = torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else ""
    return Outcome(measurements=(found,), accelerator=accelerator, extra_deviations=(ENGINE_DEVIATION,))


def learning_rate(protocol: LinearProtocol, epoch: int) -> float:
    """The rate during `epoch`, counted from 0: divided by 10 after each of the protocol's drop epochs."""
    return protocol.peak_lr / 10.0 ** bisect.bisect_right(protocol.drop_epochs, epoch)


def top_k_percent(scores: Tensor, labels: Tensor, k: int) -> float:
    """How many percent of `labels` (n,) are among the k highest of `scores` (n, classes)."""
    best = scores.topk(min(k, scores.shape[1]), dim=1).indices  # (n, k)
    return 100.0 * float((best == labels.unsqueeze(1)).any(1).double().mean())


def _new_probe(job: Job[LinearProtocol, LinearRun], class_count: int, device: torch.device) -> Probe:
    protocol = job.protocol
    backbone = load_with_warnings(job.run.checkpoint)
    heads = new_heads(protocol.heads, protocol.image_size, class_count, job.run.seed).to(device)
    optimizer = torch.optim.SGD(
        parameter_groups(heads, protocol.weight_decay),
        lr=protocol.peak_lr,
        momentum=protocol.momentum,
        nesterov=protocol.nesterov,
    )
    return Probe(protocol, loaded_trunk(backbone.state_dict, device), heads, optimizer, device, [])


def _train_epoch(probe: Probe, job: Job[LinearProtocol, LinearRun], train: ImageList) -> None:
    protocol, epoch = probe.protocol, len(probe.epochs)
    for group in probe.optimizer.param_groups:
        group["lr"] = learning_rate(protocol, epoch)
    low, high = protocol.crop_area
    view = RandomView(protocol.image_size, low, high, 0.5 if protocol.flip else 0.0)
    order = epoch_order(len(train.paths), job.run.seed, epoch)
    batches = [
        order[start : start + protocol.global_batch_size] for start in range(0, len(order), protocol.global_batch_size)
    ]
    draws = [[draw(index, job.run.seed, epoch) for index in batch] for batch in batches]
    labels = torch.tensor(train.labels)
    pixels = pixel_batches(train.paths, view, draws, job.run.workers)
    probe.heads.train()
    description = f"{job.protocol_name} epoch {epoch + 1} of {protocol.epochs}"
    for batch, images in zip(batches, track(pixels, description, len(batches)), strict=True):
        losses = [
            nn.functional.cross_entropy(scores, labels[batch].to(probe.device))
            for scores in _scores(probe, images).values()
        ]
        probe.optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        probe.optimizer.step()


@torch.no_grad()
def _validate(probe: Probe, job: Job[LinearProtocol, LinearRun], val: ImageList) -> dict[str, dict[str, float]]:
    """Top-1 and top-5 of every head on the whole validation split, in percent."""
    protocol = probe.protocol
    view = CenterView(protocol.resize, protocol.image_size)
    step = protocol.global_batch_size
    draws = [
        [(index, 0) for index in range(len(val.paths))[start : start + step]]
        for start in range(0, len(val.paths), step)
    ]
    probe.heads.eval()
    collected: dict[str, list[Tensor]] = {layer: [] for layer in probe.heads}
    for images in pixel_batches(val.paths, view, draws, job.run.workers):
        for layer, scores in _scores(probe, images).items():
            collected[layer].append(scores.cpu())
    labels = torch.tensor(val.labels)
    return {
        layer: {f"top{k}": top_k_percent(torch.cat(scores), labels, k) for k in (1, 5)}
        for layer, scores in collected.items()
    }


def _scores(probe: Probe, images: Tensor) -> dict[str, Tensor]:
    inputs = normalised(images, probe.device).contiguous(memory_format=torch.channels_last)
    maps = trunk_maps(probe.trunk, inputs, list(probe.heads))
    return {layer: head(maps[layer].contiguous()) for layer, head in probe.heads.items()}


def _save_state(probe: Probe, folder: Path) -> None:
    state = {
        "step": len(probe.epochs),
        "heads": probe.heads.state_dict(),
        "optimizer": probe.optimizer.state_dict(),
        "epochs": [asdict(epoch) for epoch in probe.epochs],
    }
    checkpoint.save_state(folder, state, {"epoch": len(probe.epochs)}, keep=STATES_KEPT)


def _load_state(probe: Probe, folder: Path) -> None:
    path = checkpoint.last_state(folder)
    if path is None:
        return
    state = checkpoint.load_state(path)
    probe.heads.load_state_dict(state["heads"])
    probe.optimizer.load_state_dict(state["optimizer"])
    probe.epochs[:] = [EpochMetrics(**epoch) for epoch in state["epochs"]]
