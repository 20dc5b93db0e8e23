"""A few seconds of ResNet-50 on this machine, printed as JSON for `python -m results plan`."""

import json
import time
from collections.abc import Callable

import torch
import torchvision

SECONDS = 4.0


def main() -> None:
    """Print images per second of the forward pass and of training at 224 pixels, single precision, and GPU memory."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch = 128 if device.type == "cuda" else 8
    model = torchvision.models.resnet50().to(device, memory_format=torch.channels_last)
    images = torch.randn(batch, 3, 224, 224, device=device).contiguous(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.no_grad():
            model(images)

    def train() -> None:
        model(images).square().mean().backward()

    model.eval()
    forward_rate = batch * _rate(forward, device)
    model.train()
    memory = torch.cuda.mem_get_info()[1] / 2**30 if device.type == "cuda" else 0.0
    print(json.dumps({
        "title": torch.cuda.get_device_name() if device.type == "cuda" else "this CPU",
        "gpus": torch.cuda.device_count(), "memory_gib": memory,
        "forward_images_per_second": forward_rate, "train_images_per_second": batch * _rate(train, device),
    }))  # fmt: skip


def _rate(step: Callable[[], None], device: torch.device) -> float:
    """Steps per second after one to warm up."""
    step()
    _wait(device)
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        step()
        _wait(device)
        steps += 1
    return steps / (time.perf_counter() - started)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
