"""Identity of a frozen settings dataclass: canonical JSON, a short hash, and its deviations from a named instance."""

import dataclasses
import hashlib
import json
import math
from typing import Any

from results.refusal import Refusal
from results.typed import check_types

LARGEST_INTEGER = 2**32 - 1
"""NumPy's largest seed."""
LARGEST_FLOAT = 3.4e38
"""What lies beyond is infinite in a network's float32."""


def canonical_json(settings: Any) -> str:
    """The settings dataclass (or plain JSON value) as JSON, keys sorted, no spaces: equal settings, equal text."""
    is_instance = dataclasses.is_dataclass(settings) and not isinstance(settings, type)
    plain = dataclasses.asdict(settings) if is_instance else settings
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)


def settings_hash(settings: Any) -> str:
    """The first 16 hex digits of the SHA-256 of `canonical_json`: equal for equal settings, on any machine."""
    return hashlib.sha256(canonical_json(settings).encode()).hexdigest()[:16]


def refuse_wrong_types(settings: Any, prefix: str) -> None:
    """A settings dataclass made in Python, where nothing checks its annotations: the command line's own parser does.

    Numbers that are not finite pass: some settings may be infinite, and each dataclass says which. Finite ones beyond
    the largest have no use anywhere and would overflow in a library.

    Raises:
        Refusal: naming the first field ("run.seed") whose value has not the annotated type, is no choice of it, or is
            beyond all use.
    """
    check_types(settings, prefix, finite=False)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, int | float) or abs(number) == math.inf:
                continue
            largest = LARGEST_INTEGER if isinstance(number, int) else LARGEST_FLOAT
            if abs(number) > largest:
                raise Refusal(f"{prefix}.{field.name} is {str(number)[:20]}; no setting is beyond {largest:,}")


def refuse_out_of_range(settings: Any, prefix: str, **ranges: tuple[float, float]) -> None:
    """The number in each field of `ranges` lies between two bounds, both included; None has no number in it.

    Raises:
        Refusal: naming the first field that does not, its value and the bounds. NaN lies nowhere.
    """
    for name, (least, most) in ranges.items():
        value = getattr(settings, name)
        if value is not None and not least <= value <= most:
            upper = f" and at most {most:,}" if math.isfinite(most) else ""
            raise Refusal(f"{prefix}.{name} is {value}; it must be at least {least:,}{upper}")


def deviations(named: Any, used: Any) -> tuple[str, ...]:
    """Each field on which `used` differs from the `named` recipe or protocol, as "field: named value -> used value".

    Both are instances of the same frozen dataclass; nested dataclasses are compared field by field ("views.blur").
    """
    assert type(named) is type(used), (type(named), type(used))
    found: list[str] = []
    for field in dataclasses.fields(named):
        before, after = getattr(named, field.name), getattr(used, field.name)
        if dataclasses.is_dataclass(before) and type(before) is type(after):
            found += [f"{field.name}.{line}" for line in deviations(before, after)]
        elif before != after:
            found.append(f"{field.name}: {before} -> {after}")
    return tuple(found)
