"""The fast views' host half: decode, crop, antialiased resize and flip, all on 8-bit tensors without PIL."""

import struct
from pathlib import Path

import numpy as np
import torch
import torchvision  # noqa: F401  # registers torch.ops.image
from torch import Tensor
from torch.nn.functional import interpolate

from data.decode import MAX_PIXELS, open_image
from pretrain.views.parameters import Crop, ViewParameters
from pretrain.views.reference import to_tensor

JPEG_MAGIC = b"\xff\xd8\xff"
MARKER = 0xFF
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15, without the Huffman tables, extensions and arithmetic conditioning between them (ITU T.81, B.1)."""
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
        if not path.is_file():  # opening a pipe would wait for ever
            return to_tensor(open_image(path))
        content = np.fromfile(path, dtype=np.uint8)
        # The decoder makes room for whatever size the header claims; `open_image` refuses what is too large by name.
        if content[:3].tobytes() == JPEG_MAGIC and jpeg_pixels(content.data) <= MAX_PIXELS:
            # The operator itself: torchvision 0.29 deprecates the function around it, not what it does.
            image: Tensor = torch.ops.image.decode_jpeg(torch.from_numpy(content), AS_STORED, False)
            if len(image) == 3:
                return image
    except (OSError, RuntimeError):
        pass
    return to_tensor(open_image(path))


def jpeg_pixels(content: memoryview) -> int:
    """Width times height as a JPEG's frame header says; 0 where none is found before the pixels begin."""
    position = 2
    while position + 9 < len(content) and content[position] == MARKER:
        kind = content[position + 1]
        if kind in FRAME_HEADERS:
            height, width = struct.unpack(">HH", content[position + 5 : position + 9])
            return int(height * width)
        # A marker may be padded with any number of 0xff; all before the pixels but that carry their length.
        length = 1 if kind == MARKER else 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        position += length
    return 0


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
