"""What happens to one view of one image, drawn before any pixel is touched."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.settings import ViewRecipe

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)

LOG_RATIO = math.log(4 / 3)
"""Crops have a width to height ratio log-uniform in [3/4, 4/3], torchvision's default."""

CROP_ATTEMPTS = 10


class Crop(NamedTuple):
    """A box of the original image, in its pixels."""

    top: int
    left: int
    height: int
    width: int


class Colour(NamedTuple):
    """Everything after the crop. Neutral values mean the operation was not drawn."""

    jitter_order: tuple[int, ...]  # a permutation of BRIGHTNESS, CONTRAST, SATURATION, HUE; empty when not drawn
    brightness: float
    contrast: float
    saturation: float
    hue: float
    grayscale: bool
    blur_sigma: float  # 0 when not drawn
    solarize: bool


COLUMNS = ("order_0", "order_1", "order_2", "order_3", *Colour._fields[1:])
"""What the numbers of `as_row` are."""

NOT_DRAWN = -1.0

NEUTRAL = Colour((), 1.0, 1.0, 1.0, 0.0, False, 0.0, False)
"""Leaves every pixel as it is."""


def as_row(colour: Colour) -> tuple[float, ...]:
    """The colour parameters as the numbers named in `COLUMNS`, so that a batch of them is one small table."""
    order = colour.jitter_order or (NOT_DRAWN,) * 4
    return (*map(float, order), *map(float, colour[1:]))


def from_row(row: NDArray[np.float64]) -> Colour:
    """What `as_row` made a row of."""
    numbers = row.tolist()
    order = () if numbers[0] == NOT_DRAWN else tuple(int(operation) for operation in numbers[:4])
    brightness, contrast, saturation, hue, grayscale, blur_sigma, solarize = numbers[4:]
    return Colour(order, brightness, contrast, saturation, hue, grayscale > 0, blur_sigma, solarize > 0)


class ViewParameters(NamedTuple):
    """One view of one image."""

    crop: Crop
    flip: bool
    colour: Colour


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of image `index` in `epoch`: a function of these three alone.

    So a view does not depend on which process draws it, on how many there are, or on where a run was resumed.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, epoch, index))))


def draw(recipe: ViewRecipe, height: int, width: int, random: np.random.Generator) -> ViewParameters:
    """Draw one view of an image of `height` x `width` pixels.

    Takes the next numbers of `random`; how many depends on the image's shape only through the crop, which comes last.
    """
    flip = bool(random.random() < recipe.flip_probability)
    colour = _colour(recipe, random)
    return ViewParameters(_crop(recipe, height, width, random), flip, colour)


def _colour(recipe: ViewRecipe, random: np.random.Generator) -> Colour:
    # Always nine draws and one permutation, so that one operation's probability does not move another's numbers.
    u = random.random(9).tolist()
    order = tuple(int(op) for op in np.argsort(random.random(4)))
    strengths = (recipe.brightness, recipe.contrast, recipe.saturation)
    brightness, contrast, saturation = (1 + s * (2 * x - 1) for s, x in zip(strengths, u[1:4], strict=True))
    jittered = u[0] < recipe.jitter_probability
    sigma = recipe.blur_sigma_min + u[7] * (recipe.blur_sigma_max - recipe.blur_sigma_min)
    return Colour(
        jitter_order=order if jittered else (),
        brightness=brightness if jittered else 1.0,
        contrast=contrast if jittered else 1.0,
        saturation=saturation if jittered else 1.0,
        hue=recipe.hue * (2 * u[4] - 1) if jittered else 0.0,
        grayscale=u[5] < recipe.grayscale_probability,
        blur_sigma=sigma if u[6] < recipe.blur_probability else 0.0,
        solarize=u[8] < recipe.solarize_probability,
    )


def _crop(recipe: ViewRecipe, height: int, width: int, random: np.random.Generator) -> Crop:
    """A box of uniform area and log-uniform ratio; if ten do not fit, the largest centred one that does."""
    span = recipe.crop_area_max - recipe.crop_area_min
    for _ in range(CROP_ATTEMPTS):
        area = height * width * (recipe.crop_area_min + span * random.random())
        ratio = math.exp(LOG_RATIO * (2 * random.random() - 1))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top, left = int(random.random() * (height - h + 1)), int(random.random() * (width - w + 1))
            return Crop(top, left, h, w)
    longest = 4 / 3
    w = min(width, max(1, round(height * longest)))
    h = min(height, max(1, round(width * longest)))
    return Crop((height - h) // 2, (width - w) // 2, h, w)
