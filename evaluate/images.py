"""From image files to normalised batches. A crop depends on (seed, epoch, image) alone, never on ranks or workers."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from data.decode import cut_endless, open_image
from evaluate.protocols import CenterView, RandomView

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class SquashView:
    """A test view of VISSL's: short side to `resize` pixels, then the whole image to a `side` x `side` square."""

    resize: int = 256
    side: int = 224


View = CenterView | RandomView | SquashView

Draw = tuple[int, int]
"""Which image, and the seed of its random view."""


def draw(index: int, seed: int, epoch: int) -> Draw:
    """The draw of image `index` in `epoch`: the same on any number of ranks and workers, and after a resume."""
    # A hash costs a microsecond; NumPy's SeedSequence costs ten, which an epoch of ImageNet would feel.
    digest = hashlib.blake2b(f"{seed}/{epoch}/{index}".encode(), digest_size=8).digest()
    return index, int.from_bytes(digest, "big") >> 1


def epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    """The images 0 .. count - 1 in the order in which `epoch` visits them."""
    order: list[int] = np.random.default_rng([seed, epoch]).permutation(count).tolist()
    return order


def view_transform(view: View) -> Any:
    """The PIL transform of a view: image -> uint8 tensor (3, crop, crop). PIL's resizing antialiases."""
    if isinstance(view, SquashView):
        square = (view.side, view.side)
        return transforms.Compose([transforms.Resize(view.resize), transforms.Resize(square), transforms.PILToTensor()])
    interpolation = InterpolationMode(view.interpolation)
    if isinstance(view, CenterView):
        steps = [transforms.Resize(view.resize, interpolation), transforms.CenterCrop(view.crop)]
    else:
        scale = (view.scale_min, view.scale_max)
        steps = [
            transforms.RandomResizedCrop(view.crop, scale, interpolation=interpolation),
            transforms.RandomHorizontalFlip(view.flip_probability),
        ]
    return transforms.Compose([*steps, transforms.PILToTensor()])


class ImageSet(Dataset[Tensor]):
    """Images as uint8 tensors (3, crop, crop), asked for by `Draw`."""

    def __init__(self, paths: Sequence[Path], view: View) -> None:
        self.paths = paths
        self.transform = view_transform(view)

    def __getitem__(self, item: Draw) -> Tensor:
        """Raises data.decode.ImageError naming the file when it cannot be decoded."""
        index, seed = item
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            pixels: Tensor = self.transform(cut_endless(open_image(self.paths[index])))
        return pixels


def pixel_batches(
    paths: Sequence[Path], view: View, batches: Iterable[Sequence[Draw]], workers: int
) -> Iterator[Tensor]:
    """One uint8 tensor (n, 3, crop, crop) for each of `batches`, decoded ahead by `workers` processes."""
    loader = DataLoader(
        ImageSet(paths, view),
        batch_sampler=batches,  # type: ignore[arg-type]
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )
    return iter(loader)


def normalised(pixels: Tensor, device: torch.device) -> Tensor:
    """Pixels (n, 3, h, w) of 0 to 255 as float32 on `device`, ImageNet mean and deviation removed."""
    images = pixels.to(device, non_blocking=True).float().div_(255.0)
    mean = torch.tensor(IMAGENET_MEAN, device=device).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=device).view(3, 1, 1)
    return images.sub_(mean).div_(std)
