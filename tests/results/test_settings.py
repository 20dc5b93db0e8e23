"""Identity of settings: equal settings, equal hash; every difference named."""

import dataclasses
import hashlib
import math
from pathlib import Path

import pytest

from results.settings import canonical_json, deviations, settings_hash


@dataclasses.dataclass(frozen=True)
class View:
    """A nested part."""

    crop: int = 224
    area: tuple[float, float] = (0.08, 1.0)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Settings with a nested part."""

    epochs: int = 100
    lr: float = 0.02
    view: View = dataclasses.field(default_factory=View)


def test_canonical_json_has_sorted_keys_and_no_spaces() -> None:
    assert canonical_json(Protocol()) == '{"epochs":100,"lr":0.02,"view":{"area":[0.08,1.0],"crop":224}}'
    assert canonical_json({"b": Path("x"), "a": None}) == '{"a":null,"b":"x"}'


def test_the_hash_is_the_start_of_the_sha256_of_that_text() -> None:
    text = b'{"epochs":100,"lr":0.02,"view":{"area":[0.08,1.0],"crop":224}}'
    assert settings_hash(Protocol()) == hashlib.sha256(text).hexdigest()[:16]
    assert settings_hash(Protocol(epochs=99)) != settings_hash(Protocol())


def test_a_setting_that_is_not_finite_has_no_identity() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(Protocol(lr=math.nan))


def test_every_difference_is_named_with_both_values() -> None:
    used = Protocol(epochs=2, view=View(area=(0.2, 1.0)))
    assert deviations(Protocol(), used) == ("epochs: 100 -> 2", "view.area: (0.08, 1.0) -> (0.2, 1.0)")
    assert deviations(Protocol(), Protocol()) == ()


def test_settings_of_different_kinds_are_a_programmers_mistake() -> None:
    with pytest.raises(AssertionError):
        deviations(Protocol(), View())
