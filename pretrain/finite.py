"""No setting of a recipe may be infinite or not a number: comparisons let NaN pass, and no loss survives either."""

import math
from dataclasses import fields
from typing import Any

from results.refusal import Refusal


def require_finite(settings: Any) -> None:
    """Look at every number of a settings dataclass.

    Raises:
        Refusal: one is not finite; the message names its field.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise Refusal(f"recipe field {field.name} is {value}; it must be a finite number")
