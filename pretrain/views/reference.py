"""The reference: each operation of B.2 by PIL on 8-bit images, as torchvision and the released code apply it."""

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

from pretrain.views.parameters import BRIGHTNESS, CONTRAST, SATURATION, Colour, Crop, ViewParameters

RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
SOLARIZE_THRESHOLD = 128


def apply(image: Image.Image, view: ViewParameters, *, size: int, interpolation: str) -> Image.Image:
    """One view of `image` (RGB): (size, size), RGB, not yet normalised."""
    out = crop_and_resize(image, view.crop, size, interpolation)
    if view.flip:
        out = out.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return recolour(out, view.colour)


def crop_and_resize(image: Image.Image, crop: Crop, size: int, interpolation: str) -> Image.Image:
    """The crop, resized to a square with antialiasing; pixels outside the crop have no influence."""
    box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
    return image.crop(box).resize((size, size), RESAMPLING[interpolation])


def recolour(image: Image.Image, colour: Colour) -> Image.Image:
    """Jitter in its drawn order, grayscale, blur, solarize."""
    for operation in colour.jitter_order:
        image = jitter(image, operation, colour)
    if colour.grayscale:
        image = image.convert("L").convert("RGB")
    if colour.blur_sigma > 0:
        image = image.filter(ImageFilter.GaussianBlur(colour.blur_sigma))
    if colour.solarize:
        image = ImageOps.solarize(image, SOLARIZE_THRESHOLD)
    return image


def jitter(image: Image.Image, operation: int, colour: Colour) -> Image.Image:
    """One of the four operations of torchvision's ColorJitter."""
    if operation == BRIGHTNESS:
        return ImageEnhance.Brightness(image).enhance(colour.brightness)
    if operation == CONTRAST:
        return ImageEnhance.Contrast(image).enhance(colour.contrast)
    if operation == SATURATION:
        return ImageEnhance.Color(image).enhance(colour.saturation)
    return shift_hue(image, colour.hue)


def shift_hue(image: Image.Image, hue: float) -> Image.Image:
    """Turn the hue by `hue` of a full circle, in PIL's 8-bit HSV, where the hue wraps around."""
    hsv = np.array(image.convert("HSV"))
    hsv[..., 0] = (hsv[..., 0].astype(np.int32) + hue_levels(hue)) % 256
    return Image.fromarray(hsv, "HSV").convert("RGB")


def hue_levels(hue: float) -> int:
    """`hue` (a share of the circle) as steps of PIL's 8-bit hue, cut towards zero as torchvision does."""
    return int(hue * 255)


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB image as uint8 (3, height, width)."""
    pixels: Any = np.array(image)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
