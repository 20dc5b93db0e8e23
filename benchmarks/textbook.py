"""The textbook baseline: VICReg as a careful reader of the paper would write it, before anybody makes it fast.

Algorithm 1 as printed, B.2 with PIL and torchvision's transforms, LARS tensor by tensor, NCHW, fp16 autocast with a
scaler where there is a GPU, one DataLoader of float views. `SETTINGS["official"]` are the released code's settings:
bicubic crops from 8 % of the area on, and BYOL's asymmetric pair of views.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import InterpolationMode

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class View(NamedTuple):
    """What differs between the two views, and between the paper and the released code."""

    crop_area_min: float
    interpolation: InterpolationMode
    blur: float
    solarize: float


SETTINGS: dict[str, tuple[View, View]] = {
    "paper": (View(0.2, InterpolationMode.BILINEAR, 0.5, 0.1),) * 2,
    "official": (View(0.08, InterpolationMode.BICUBIC, 1.0, 0.0), View(0.08, InterpolationMode.BICUBIC, 0.1, 0.2)),
}


def loss(z_a: Tensor, z_b: Tensor) -> Tensor:
    """Algorithm 1 line by line, with the coefficients 25, 25, 1 of section 4; z_a, z_b: (n, d)."""
    count, dimensions = z_a.shape
    sim_loss = nn.functional.mse_loss(z_a, z_b)
    std_a = torch.sqrt(z_a.var(dim=0) + 1e-4)
    std_b = torch.sqrt(z_b.var(dim=0) + 1e-4)
    std_loss = torch.mean(torch.relu(1 - std_a)) + torch.mean(torch.relu(1 - std_b))
    z_a = z_a - z_a.mean(dim=0)
    z_b = z_b - z_b.mean(dim=0)
    cov_a = (z_a.T @ z_a) / (count - 1)  # (d, d)
    cov_b = (z_b.T @ z_b) / (count - 1)
    cov_loss = off_diagonal(cov_a).pow_(2).sum() / dimensions + off_diagonal(cov_b).pow_(2).sum() / dimensions
    return 25 * sim_loss + 25 * std_loss + cov_loss


def off_diagonal(matrix: Tensor) -> Tensor:
    """The entries of a square matrix (d, d) that are not on its diagonal: (d * d - d,)."""
    size = len(matrix)
    # Without its last entry the flat matrix falls into rows of d + 1 that each begin with a diagonal entry.
    return matrix.flatten()[:-1].view(size - 1, size + 1)[:, 1:].flatten()


class LARS(torch.optim.Optimizer):
    """BYOL's optimizer, one tensor after the other; 1-D tensors get neither decay nor adaptation."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        defaults = {"lr": lr, "momentum": 0.9, "weight_decay": 1e-6, "trust_coefficient": 0.001}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: Tensor, update: Tensor, group: dict[str, Any]) -> None:
        if parameter.ndim != 1:
            update = update.add(parameter, alpha=group["weight_decay"])
            weight_norm, update_norm = torch.norm(parameter), torch.norm(update)
            one = torch.ones_like(weight_norm)
            ratio = torch.where(update_norm > 0, group["trust_coefficient"] * weight_norm / update_norm, one)
            update = update.mul(torch.where(weight_norm > 0, ratio, one))
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        state["velocity"].mul_(group["momentum"]).add_(update)
        parameter.add_(state["velocity"], alpha=-group["lr"])


class GaussianBlur:
    """PIL's Gaussian with sigma uniform in (0.1, 2), as the released code draws it."""

    def __call__(self, image: Image.Image) -> Image.Image:
        """`image` blurred."""
        return image.filter(ImageFilter.GaussianBlur(radius=float(torch.empty(()).uniform_(0.1, 2.0))))


def crop_and_flip(view: View, size: int = 224) -> list[object]:
    """The first two operations of B.2: random resized crop and horizontal flip."""
    area = (view.crop_area_min, 1.0)
    return [
        transforms.RandomResizedCrop(size, scale=area, interpolation=view.interpolation),
        transforms.RandomHorizontalFlip(0.5),
    ]


def transform(view: View, size: int = 224) -> transforms.Compose:
    """All of B.2 for one view: PIL image to normalised float32 (3, size, size)."""
    jitter = transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)
    return transforms.Compose(
        [
            *crop_and_flip(view, size),
            transforms.RandomApply([jitter], p=0.8),
            transforms.RandomGrayscale(0.2),
            transforms.RandomApply([GaussianBlur()], p=view.blur),
            transforms.RandomSolarize(threshold=128, p=view.solarize),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )


class TwoViews(Dataset[tuple[Tensor, Tensor]]):
    """Two float views (3, size, size) of each JPEG file."""

    def __init__(self, paths: list[Path], settings: str = "paper", size: int = 224) -> None:
        self.paths = paths
        self.first, self.second = (transform(view, size) for view in SETTINGS[settings])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.paths[index]) as file:
            image = file.convert("RGB")
        return self.first(image), self.second(image)


def loader(
    paths: list[Path], *, batch_size: int, workers: int, settings: str = "paper"
) -> DataLoader[tuple[Tensor, Tensor]]:
    """The one DataLoader: shuffled, pinned where there is a GPU, workers kept between epochs."""
    return DataLoader(
        TwoViews(paths, settings), batch_size=batch_size, shuffle=True, num_workers=workers,
        pin_memory=torch.cuda.is_available(), persistent_workers=workers > 0, drop_last=True,
    )  # fmt: skip


class VICReg(nn.Module):
    """torchvision's ResNet-50 and the projector 8192-8192-8192 of B.1; one forward per view."""

    def __init__(self, width: int = 8192) -> None:
        super().__init__()
        self.backbone = torchvision.models.resnet50(zero_init_residual=True)
        self.backbone.fc = nn.Identity()
        self.projector = nn.Sequential(
            nn.Linear(2048, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
            nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False),
        )  # fmt: skip

    def forward(self, x_a: Tensor, x_b: Tensor) -> Tensor:
        """The loss of two views (n, 3, h, w)."""
        return loss(self.projector(self.backbone(x_a)), self.projector(self.backbone(x_b)))


class Trainer:
    """The step of the textbook: fp16 autocast around network and loss on a GPU, float32 elsewhere."""

    def __init__(self, device: torch.device, width: int = 8192) -> None:
        self.device = device
        self.model = VICReg(width).to(device).train()
        self.optimizer = LARS(self.model.parameters(), lr=1e-3)
        self.scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")

    def step(self, x_a: Tensor, x_b: Tensor) -> None:
        """One update from two views (n, 3, h, w) in host memory."""
        x_a, x_b = x_a.to(self.device, non_blocking=True), x_b.to(self.device, non_blocking=True)
        self.model.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.float16, enabled=self.device.type == "cuda"):
            value = self.model(x_a, x_b)
        self.scaler.scale(value).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
