"""No setting of a recipe may have another type, be infinite or no number: comparisons let NaN pass, no loss does."""

import math
from dataclasses import fields
from typing import Any

from results.refusal import Refusal
from results.settings import refuse_wrong_types


def require_finite(settings: Any) -> None:
    """Look at every field of a settings dataclass, and at the numbers among them.

    Raises:
        Refusal: a value has not its field's type, or is not finite; the message names the field.
    """
    refuse_wrong_types(settings, "recipe field")
    for field in fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise Refusal(f"recipe field {field.name} is {value}; it must be a finite number")
