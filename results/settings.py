"""Identity of a frozen settings dataclass: canonical JSON, a short hash, and its deviations from a named instance."""

import dataclasses
import hashlib
import json
from typing import Any


def canonical_json(settings: Any) -> str:
    """The settings dataclass (or plain JSON value) as JSON, keys sorted, no spaces: equal settings, equal text."""
    is_instance = dataclasses.is_dataclass(settings) and not isinstance(settings, type)
    plain = dataclasses.asdict(settings) if is_instance else settings
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)


def settings_hash(settings: Any) -> str:
    """The first 16 hex digits of the SHA-256 of `canonical_json`: equal for equal settings, on any machine."""
    return hashlib.sha256(canonical_json(settings).encode()).hexdigest()[:16]


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
