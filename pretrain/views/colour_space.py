"""Gray and hue in whole grey levels, exactly as PIL's 8-bit conversions round them."""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


def gray(x: Tensor) -> Tensor:
    """Luma of (n, 3, h, w) whole grey levels: (n, 1, h, w), ITU-R 601 weights in 1/65536, rounded.

    The products stay below 2^24, so float32 holds them exactly.
    """
    red, green, blue = x.unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 32768) / 65536).floor_().unsqueeze(1)


def turn_hue(x: Tensor, levels: Tensor) -> Tensor:
    """Shift the 8-bit hue of (n, 3, h, w) whole grey levels by `levels` (n, 1, 1), in steps of 1/255 of the circle.

    PIL has whole hues and saturations, computed partly in float and partly in double. Tables over every case hold
    them exactly; what remains is float32, and checked over every value, saturation and hue to round as PIL does.
    """
    tables = _tables(x.device)
    red, green, blue = x.unbind(1)  # (n, h, w)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    from_green_on = torch.where(green == value, (blue - red).add_(SPAN), (red - green).add_(2 * SPAN))
    distance = torch.where(red == value, green - blue, from_green_on)
    # (distance + 255) * 256 + chroma
    hue = _look_up(tables.hue, torch.add(chroma, distance, alpha=256).add_(255 * 256).int())
    turned = hue.add_(levels.int()).bitwise_and_(255)
    saturated = _look_up(tables.saturation, torch.add(value, chroma, alpha=256).int()).mul_(value)
    value.add_(0.5)  # PIL rounds half up
    out = torch.empty_like(x)
    for channel, weight in enumerate(tables.weights):
        torch.addcmul(value, saturated, _look_up(weight, turned), value=-1, out=out[:, channel]).floor_()
    return out


SPAN = 512
"""How far the three cases of the largest channel lie apart in the table of hues."""


class _Tables(NamedTuple):
    hue: Tensor  # int32, by case, signed distance of the other two channels, and chroma: PIL's 8-bit hue
    saturation: Tensor  # by chroma and value: PIL's 8-bit saturation, over 255
    weights: tuple[Tensor, ...]  # by hue, for each channel: how much of the saturation it loses


@cache
def _tables(device: torch.device) -> _Tables:
    distance, chroma = torch.meshgrid(torch.arange(-255.0, SPAN - 255), torch.arange(256.0), indexing="ij")
    high, middle, zero = chroma, distance.abs().minimum(chroma), torch.zeros_like(chroma)
    up, down = torch.where(distance >= 0, middle, zero), torch.where(distance >= 0, zero, middle)
    cases = ((high, up, down), (down, high, up), (up, down, high))  # red, green, blue of every case
    hue = torch.cat([_hue(*case).flatten() for case in cases])
    chroma, value = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    saturation = ((chroma / value.clamp(min=1)).double() * 255).floor().flatten() / 255
    weights = tuple(weight.float().to(device) for weight in _weights(torch.arange(256.0).double()))
    return _Tables(hue.int().to(device), saturation.float().to(device), weights)


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    return table.index_select(0, index.flatten()).view(index.shape)


def _hue(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    value = red.maximum(green).maximum(blue)
    chroma = value - red.minimum(green).minimum(blue)
    # A gray pixel has chroma 0; dividing by 1 there gives it hue 0 with no special case.
    divisor = chroma.clamp(min=1)
    to_red, to_green, to_blue = (value - red) / divisor, (value - green) / divisor, (value - blue) / divisor
    # PIL mixes float and double here; a hue that lands on the other side of a whole step would show as 6 grey levels.
    from_green_on = torch.where(
        green == value, 2 + to_red.double() - to_blue.double(), 4 + to_green.double() - to_red.double()
    )
    sextant = torch.where(red == value, (to_blue - to_green).double(), from_green_on).float().double()
    return torch.where(chroma > 0, torch.remainder(sextant / 6 + 1, 1).float().double() * 255, 0.0).floor_()


def _weights(hue: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For red, green and blue: 0 keeps the value, 1 loses the whole saturation, between them rising or falling."""
    sextant = hue * 6 / 255
    index = sextant.floor()
    falling = (sextant - index).float().double()
    rising = 1 - falling
    index = torch.remainder(index, 6)
    none, whole = torch.zeros_like(hue), torch.ones_like(hue)
    red = _choose(index, (none, falling, whole, whole, rising, none))
    green = _choose(index, (rising, none, none, falling, whole, whole))
    blue = _choose(index, (whole, whole, rising, none, none, falling))
    return red, green, blue


def _choose(index: Tensor, candidates: tuple[Tensor, ...]) -> Tensor:
    chosen = candidates[0]
    for number, candidate in enumerate(candidates[1:], start=1):
        chosen = torch.where(index == number, candidate, chosen)
    return chosen
