"""Gray and hue in whole grey levels, exactly as PIL's 8-bit conversions round them."""

from functools import cache

import torch
from torch import Tensor


def gray(x: Tensor) -> Tensor:
    """Luma of (n, 3, ...) whole grey levels: (n, 1, ...), ITU-R 601 weights in 1/65536, rounded half up.

    In units of 1/65536 every number stays below 2^24, so float32 holds them exactly.
    """
    red, green, blue = x.unbind(1)
    luma = torch.mul(red, 19595 / 65536).add_(green, alpha=38470 / 65536).add_(blue, alpha=7471 / 65536)
    return luma.add_(0.5).floor_().unsqueeze(1)


def turn_hue(x: Tensor, levels: Tensor | int) -> Tensor:
    """Shift the 8-bit hue of (n, 3, ...) whole grey levels by `levels`, steps of 1/255 of the circle, modulo 256.

    `levels`: one number for all, or uint8 that broadcasts with (n, ...). PIL has whole hues and saturations, computed
    partly in float and partly in double. A table over every case holds the hues exactly; what remains is float32, and
    checked over every value, saturation and hue to round as PIL does. Nothing is compared: on a processor a comparison
    and a choice take ten times a subtraction.
    """
    hue, value, chroma = _hue_value_chroma(x)
    saturation = torch.div(chroma, value.clamp(min=1)).mul_(255).floor_()
    scaled = saturation.mul_(value).mul_(1 / 255**2)
    # A sextant of the circle has 255 / 6 hues: in six times the hue every number below is whole.
    turned = hue.add_(levels).to(torch.float32).mul_(6)
    value.add_(0.5)  # PIL rounds half up
    out = torch.empty_like(x)
    for channel, sextant in enumerate((3, 2, 4)):
        # Green and blue lose the whole saturation far from their own hue, red near the opposite one, and nothing or
        # something between elsewhere.
        lost = torch.sub(turned, sextant * 255).abs_().sub_(255).clamp_(0, 255)
        lost = lost.neg_().add_(255) if channel == 0 else lost
        torch.addcmul(value, scaled, lost, value=-1, out=out[:, channel]).floor_()
    return out


def _hue_value_chroma(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """PIL's 8-bit hue (uint8), the largest channel, and its distance from the smallest, each (n, ...)."""
    red, green, blue = x.unbind(1)
    high, low = torch.maximum(green, blue), torch.minimum(green, blue)
    value, middle = torch.maximum(red, high), torch.minimum(red, high)
    chroma = value - torch.minimum(middle, low)
    blue_over_green, red_not_largest = (blue - green).clamp_(0, 1), (high - red).clamp_(0, 1)  # 0 or 1
    case = torch.addcmul(blue_over_green, red_not_largest, blue_over_green + 3)  # 0, 1, 3, or 5
    # case * 256² + (middle - low) * 256 + chroma
    index = torch.add(middle.sub_(low), case, alpha=256).mul_(256).add_(chroma)
    hue = _hues(x.device).index_select(0, index.int().flatten())
    return hue.view(index.shape), value, chroma


@cache
def _hues(device: torch.device) -> Tensor:
    """PIL's 8-bit hue by case, signed difference and chroma, as `_hue_value_chroma` numbers them: uint8 (6 * 256²,)."""
    table = torch.zeros(6 * 256**2)
    high, middle = (axis.flatten() for axis in torch.meshgrid(*[torch.arange(256.0)] * 2, indexing="ij"))
    possible = middle <= high
    high, middle = high[possible], middle[possible]
    zero = torch.zeros_like(high)
    for case, difference, colour in (
        (0, middle, (high, middle, zero)),
        (1, middle, (high, zero, middle)),
        (3, middle, (middle, high, zero)),
        (3, -middle, (zero, high, middle)),
        (5, middle, (middle, zero, high)),
        (5, -middle, (zero, middle, high)),
    ):
        table[((case * 256 + difference) * 256 + high).long()] = _hue(*colour).float()
    return table.to(device, torch.uint8)


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
