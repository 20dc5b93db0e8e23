"""ResNet-50, 50 (x2) and 200 (x2), ending in the pooled representation; parameter names are torchvision's.

Those are the names in the published files (`conv1.weight`, `layer1.0.conv1.weight`, …), so a checkpoint written here is
a backbone file as others publish it. The stride sits in the 3x3 convolution, as in torchvision and the released code.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut: (n, c_in, h, w) -> (n, 4 * width, h / stride, w / stride)."""

    def __init__(self, inputs: int, planes: int, stride: int, widen: int) -> None:
        super().__init__()
        width, outputs = planes * widen, planes * widen * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(inputs, outputs, stride) if stride != 1 or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, inputs, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + shortcut)  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """Images (n, 3, h, w) to representations (n, `out_features`): 2048 features times `widen`."""

    def __init__(self, depths: tuple[int, int, int, int], *, widen: int = 1, zero_init_residual: bool = True) -> None:
        super().__init__()
        self.inputs = 64 * widen
        self.conv1 = nn.Conv2d(3, self.inputs, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(self.inputs)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = self._stage(64, depths[0], 1, widen)
        self.layer2 = self._stage(128, depths[1], 2, widen)
        self.layer3 = self._stage(256, depths[2], 2, widen)
        self.layer4 = self._stage(512, depths[3], 2, widen)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.out_features = self.inputs
        self._initialise(zero_init_residual)

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, 3, h, w), normalised."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (n, 64, h / 4, w / 4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (n, 2048, h / 32, w / 32)
        return torch.flatten(self.avgpool(x), 1)  # (n, 2048)

    def _stage(self, planes: int, depth: int, stride: int, widen: int) -> nn.Sequential:
        blocks = []
        for index in range(depth):
            blocks.append(Bottleneck(self.inputs, planes, stride if index == 0 else 1, widen))
            self.inputs = planes * widen * EXPANSION
        return nn.Sequential(*blocks)

    def _initialise(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Bottleneck) and zero_init_residual:
                nn.init.zeros_(module.bn3.weight)


def resnet50(*, zero_init_residual: bool = True) -> ResNet:
    """ResNet-50: 23,508,032 parameters, 2048 features."""
    return ResNet((3, 4, 6, 3), zero_init_residual=zero_init_residual)


def resnet50x2(*, zero_init_residual: bool = True) -> ResNet:
    """ResNet-50 with every layer twice as wide, 4096 features."""
    return ResNet((3, 4, 6, 3), widen=2, zero_init_residual=zero_init_residual)


def resnet200x2(*, zero_init_residual: bool = True) -> ResNet:
    """ResNet-200 with every layer twice as wide, 4096 features."""
    return ResNet((3, 24, 36, 3), widen=2, zero_init_residual=zero_init_residual)


ARCHITECTURES: dict[str, Callable[..., ResNet]] = {
    "resnet50": resnet50,
    "resnet50x2": resnet50x2,
    "resnet200x2": resnet200x2,
}


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
