"""The fast views' second half on a processor: one image after the other, with plain numbers for its parameters.

Here an operation costs as many passes over the image as it makes, and the cache holds one image with a few planes of
it. So nothing is masked, selected or stacked, as `device` does to give a whole batch on an accelerator its own
parameters; the rounding is the same. Comparisons are avoided, whose 8-bit results take five times a subtraction.

Measured and not kept: reordering the channels by a product with a 3 x 3 matrix (3 to 6 times a copy); a blur by
depthwise or plain convolution (slower); a blur by adding shifted images (a seventh faster at sigma 0.5, slower from
sigma 1 on).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretrain.views import colour_space, gaussian
from pretrain.views.normalise import in_grey_levels
from pretrain.views.parameters import BRIGHTNESS, CONTRAST, SATURATION, Colour, from_row
from pretrain.views.reference import hue_levels

STRIP = 32
"""Rows of a blurred image that are computed together: longer strips multiply more zeros, shorter ones less at once."""

NEGLIGIBLE = 1e-7
"""Weights of a blur below this share move no pixel by a ten-thousandth of a grey level."""


def augment(images: Tensor, table: NDArray[np.float64], *, blur_kernel: int) -> Tensor:
    """uint8 (n, 3, s, s) after crop and flip to normalised float32 views (n, 3, s, s), in channels-last layout.

    `table` (n, 11) holds one `parameters.as_row` for each.
    """
    out = torch.empty(images.shape, memory_format=torch.channels_last)
    mean, std = in_grey_levels(images.device)
    for image, row, view in zip(images, table, out, strict=True):
        x = image.transpose(0, 1).to(torch.float32, memory_format=torch.contiguous_format)
        x = recolour(x, from_row(row), blur_kernel=blur_kernel)
        view.copy_((x.transpose(0, 1) - mean).div_(std))
    return out


def recolour(x: Tensor, colour: Colour, *, blur_kernel: int) -> Tensor:
    """Jitter, grayscale, blur, solarize of one image, float32 (s, 3, s) in 0…255: the channels of row after row.

    In this order both directions of the blur are products with parts of one matrix. Gray comes back as (s, 1, s), once
    for all channels. `x` may be overwritten.
    """
    for operation in colour.jitter_order:
        x = _jitter(x, operation, colour)
    if colour.grayscale:
        x = colour_space.gray(x)
    if colour.blur_sigma > 0:
        x = blur(x, colour.blur_sigma, blur_kernel)
    # The smaller of the two is the solarised one, as the threshold is the middle.
    return torch.minimum(x, 255 - x) if colour.solarize else x


def _jitter(x: Tensor, operation: int, colour: Colour) -> Tensor:
    if operation == BRIGHTNESS:
        return x.mul_(colour.brightness).clamp_(max=255).floor_()
    if operation == CONTRAST:
        return _blend(x, (colour_space.gray(x).mean() + 0.5).floor_(), colour.contrast)
    if operation == SATURATION:
        return _blend(x, colour_space.gray(x), colour.saturation)
    return colour_space.turn_hue(x, hue_levels(colour.hue) % 256)


def _blend(x: Tensor, reference: Tensor, factor: float) -> Tensor:
    return x.sub_(reference).mul_(factor).add_(reference).clamp_(0, 255).floor_()


def blur(x: Tensor, sigma: float, kernel: int) -> Tensor:
    """Gaussian blur of one image (s, 3, s) or (s, 1, s), edges continued; along columns, then along rows."""
    matrix, reach = blur_matrix(sigma, x.shape[-1], kernel)
    halfway, out = torch.empty_like(x), torch.empty_like(x)
    size = len(x)
    for start in range(0, size, STRIP):
        rows, near = slice(start, start + STRIP), slice(max(0, start - reach), start + STRIP + reach)
        torch.mm(matrix[rows, near], x.view(size, -1)[near], out=halfway.view(size, -1)[rows])
    for start in range(0, size, STRIP):
        columns, near = slice(start, start + STRIP), slice(max(0, start - reach), start + STRIP + reach)
        torch.mm(halfway.view(-1, size)[:, near], matrix[columns, near].T, out=out.view(-1, size)[:, columns])
    return out.add_(0.5).floor_()


def blur_matrix(sigma: float, size: int, kernel: int) -> tuple[Tensor, int]:
    """`gaussian.blur_matrices` of one sigma (size, size), and how far from the diagonal it reaches."""
    weights = gaussian.weights(torch.tensor([sigma]), kernel)[0]
    reach = sum(weight > NEGLIGIBLE for weight in weights.tolist()) // 2
    taps = 2 * reach + 1
    # Rows that are one longer than the matrix's move the weights right by one from row to row.
    padded = torch.zeros(size, size + taps)
    padded[:, :taps] = weights[kernel // 2 - reach : kernel // 2 + reach + 1]
    padded = padded.view(-1)[: size * (size + taps - 1)].view(size, -1)
    matrix = padded[:, reach : reach + size]
    matrix[:, 0] += padded[:, :reach].sum(1)
    matrix[:, -1] += padded[:, reach + size :].sum(1)
    return matrix, reach
