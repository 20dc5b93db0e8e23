"""The fast views' host half: decode, crop, antialiased resize and flip, all on 8-bit tensors without PIL."""

from pathlib import Path

import numpy as np
import torch
import torchvision  # noqa: F401  # registers torch.ops.image
from torch import Tensor
from torch.nn.functional import interpolate

from data.decode import open_image
from pretrain.views.parameters import Crop, ViewParameters
from pretrain.views.reference import to_tensor

JPEG_MAGIC = b"\xff\xd8\xff"
AS_STORED = 0
"""torchvision's ImageReadMode.UNCHANGED: 1, 3 or 4 channels as in the file."""


def decode(path: Path) -> Tensor:
    """The image at `path` as uint8 (3, height, width), RGB, without regard to its EXIF orientation.

    JPEGs with three channels go through torchvision's decoder; everything else, and whatever it cannot read, through
    `data.decode`, whose policy for unusual images and errors holds.

    Raises:
        ImageError: the file cannot be decoded; the message names it.
    """
    try:
        content = np.fromfile(path, dtype=np.uint8)
        if content[:3].tobytes() == JPEG_MAGIC:
            # The operator itself: torchvision 0.29 deprecates the function around it, not what it does.
            image: Tensor = torch.ops.image.decode_jpeg(torch.from_numpy(content), AS_STORED, False)
            if len(image) == 3:
                return image
    except (OSError, RuntimeError):
        pass
    return to_tensor(open_image(path))


def crop_resize_flip(image: Tensor, view: ViewParameters, *, size: int, interpolation: str) -> Tensor:
    """uint8 (3, height, width) to uint8 (3, size, size): the drawn crop, resized with antialiasing, maybe mirrored."""
    out = crop_and_resize(image, view.crop, size, interpolation)
    return out.flip(-1) if view.flip else out


def crop_and_resize(image: Tensor, crop: Crop, size: int, interpolation: str) -> Tensor:
    """The crop, resized to a square; pixels outside the crop have no influence."""
    box = image[None, :, crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    # Interleaved pixels (the decoder's own layout) take the vectorised 8-bit resize.
    box = box.contiguous(memory_format=torch.channels_last)
    return interpolate(box, (size, size), mode=interpolation, antialias=True)[0]
