"""Gray and hue in whole grey levels, exactly as PIL's 8-bit conversions round them."""

import torch
from torch import Tensor


def gray(x: Tensor) -> Tensor:
    """Luma of (n, 3, h, w) whole grey levels: (n, 1, h, w), ITU-R 601 weights in 1/65536, rounded.

    The products stay below 2^24, so float32 holds them exactly.
    """
    red, green, blue = x.unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 32768) / 65536).floor_().unsqueeze(1)


def turn_hue(x: Tensor, levels: Tensor) -> Tensor:
    """Shift the 8-bit hue of (n, 3, h, w) whole grey levels by `levels` (n, 1, 1), in steps of 1/255 of the circle."""
    hue, saturation, value = _to_hsv(x)
    return _to_rgb(torch.remainder(hue + levels, 256), saturation, value)


def _to_hsv(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    red, green, blue = x.unbind(1)  # (n, h, w)
    value, low = x.amax(1), x.amin(1)
    chroma = value - low
    # A gray pixel has chroma 0; dividing by 1 there gives it hue and saturation 0 with no special case.
    divisor = chroma.clamp(min=1)
    to_red, to_green, to_blue = (value - red) / divisor, (value - green) / divisor, (value - blue) / divisor
    # PIL mixes float and double here; a hue that lands on the other side of a whole step would show as 6 grey levels.
    from_green_on = torch.where(
        green == value, 2 + to_red.double() - to_blue.double(), 4 + to_green.double() - to_red.double()
    )
    sextant = torch.where(red == value, (to_blue - to_green).double(), from_green_on).float().double()
    hue = torch.where(chroma > 0, torch.remainder(sextant / 6 + 1, 1).float().double() * 255, 0.0)
    saturation = (chroma / value.clamp(min=1)).double() * 255
    return hue.floor_(), saturation.floor_(), value.double()


def _to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    sextant = hue * 6 / 255
    index = sextant.floor()
    share = (sextant - index).float().double()
    grayness = (saturation / 255).float().double()
    low = (value * (1 - grayness) + 0.5).floor_()
    falling = (value * (1 - grayness * share) + 0.5).floor_()
    rising = (value * (1 - grayness * (1 - share)) + 0.5).floor_()
    index = torch.remainder(index, 6)
    red = _choose(index, (value, falling, low, low, rising, value))
    green = _choose(index, (rising, value, value, falling, low, low))
    blue = _choose(index, (low, low, rising, value, value, falling))
    return torch.stack((red, green, blue), 1).float()


def _choose(index: Tensor, candidates: tuple[Tensor, ...]) -> Tensor:
    chosen = candidates[0]
    for number, candidate in enumerate(candidates[1:], start=1):
        chosen = torch.where(index == number, candidate, chosen)
    return chosen
