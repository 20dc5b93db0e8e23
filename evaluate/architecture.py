"""ResNet-50 as a list of tensor names and shapes, in torchvision's names and in other libraries'. Torch-free."""

import functools

BLOCKS = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4
FEATURE_DIMENSION = WIDTHS[-1] * EXPANSION

Shapes = dict[str, tuple[int, ...]]

_STATISTICS = ("weight", "bias", "running_mean", "running_var")


@functools.cache
def resnet50_shapes() -> Shapes:
    """The 265 tensors of a ResNet-50 without fc: 53 convolutions, and 4 tensors for each of 53 batch norms."""
    shapes = _conv_and_norm("conv1", "bn1", (64, 3, 7, 7))
    entering = 64
    for stage, (blocks, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True), start=1):
        leaving = width * EXPANSION
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            shapes |= _conv_and_norm(f"{name}.conv1", f"{name}.bn1", (width, entering, 1, 1))
            shapes |= _conv_and_norm(f"{name}.conv2", f"{name}.bn2", (width, width, 3, 3))
            shapes |= _conv_and_norm(f"{name}.conv3", f"{name}.bn3", (leaving, width, 1, 1))
            if block == 0:
                downsample = (leaving, entering, 1, 1)
                shapes |= _conv_and_norm(f"{name}.downsample.0", f"{name}.downsample.1", downsample)
            entering = leaving
    return shapes


def norm_names() -> list[str]:
    """The 53 batch norms, as "layer1.0.bn1"."""
    return [name.removesuffix(".running_var") for name in resnet50_shapes() if name.endswith(".running_var")]


def _conv_and_norm(conv: str, norm: str, shape: tuple[int, int, int, int]) -> Shapes:
    return {f"{conv}.weight": shape, **{f"{norm}.{statistic}": (shape[0],) for statistic in _STATISTICS}}


def torchvision_name(name: str) -> str:
    """torchvision's own spelling, which most published files use."""
    return name


def sequential_name(name: str) -> str:
    """The spelling of `nn.Sequential(*list(resnet.children())[:-1])`, as lightly's examples save it."""
    head, _, rest = name.partition(".")
    index = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}[head]
    return f"{index}.{rest}"


def transformers_name(name: str) -> str:
    """The spelling of Hugging Face transformers' ResNetModel, without its "resnet." prefix."""
    parts = name.split(".")
    if parts[0] in ("conv1", "bn1"):
        return f"embedder.embedder.{_PARTS[parts[0][:-1]]}.{parts[1]}"
    block = f"encoder.stages.{int(parts[0][-1]) - 1}.layers.{parts[1]}"
    if parts[2] == "downsample":
        return f"{block}.shortcut.{'convolution' if parts[3] == '0' else 'normalization'}.{parts[4]}"
    return f"{block}.layer.{int(parts[2][-1]) - 1}.{_PARTS[parts[2][:-1]]}.{parts[3]}"


_PARTS = {"conv": "convolution", "bn": "normalization"}

DIALECTS = {"torchvision": torchvision_name, "nn.Sequential": sequential_name, "transformers": transformers_name}
