"""Types checked at run time: dataclasses against their annotations, and CSV files read into dataclasses."""

import csv
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from results.refusal import Refusal

Row = TypeVar("Row")

TRUTH = {"yes": True, "no": False}


def check_types(part: Any, where: str, *, finite: bool = True) -> None:
    """Compare every field of the dataclass instance `part` with its annotation, nested dataclasses included.

    Raises:
        Refusal: naming the field ("record.measurement.value"), the value found and the type expected; with `finite`
            also for a float that is not.
    """
    kind: Any = type(part)
    for name, hint in _hints(kind).items():
        value = getattr(part, name)
        if dataclasses.is_dataclass(value):
            check_types(value, f"{where}.{name}", finite=finite)
        if not _fits(value, hint):
            raise Refusal(f"{where}.{name} is {_shown(value)}, expected {_spelled(hint)}")
        if finite and isinstance(value, float) and not math.isfinite(value):
            raise Refusal(f"{where}.{name} is {value}, expected a finite number")


def read_csv(path: Path, kind: type[Row]) -> tuple[Row, ...]:
    """Every line of a CSV file as an instance of the dataclass `kind`; the header must be its field names, in order.

    An empty field is None where the annotation allows it, and "yes"/"no" are the two booleans.

    Raises:
        Refusal: naming file, line and field of what does not fit.
    """
    hints = _hints(typing.cast(Any, kind))
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if header != list(hints):
            raise Refusal(f"{path}: its columns are {header}, expected {list(hints)}")
        return tuple(_row(kind, hints, fields, f"{path}:{reader.line_num}") for fields in reader)


def _row(kind: type[Row], hints: Mapping[str, Any], fields: list[str], where: str) -> Row:
    if len(fields) != len(hints):
        raise Refusal(f"{where}: {len(fields)} fields, expected {len(hints)}")
    values = {name: _parsed(text, hints[name], f"{where}: {name}") for name, text in zip(hints, fields, strict=True)}
    row = kind(**values)
    check_types(row, where)
    return row


def _parsed(text: str, hint: Any, where: str) -> Any:
    choices = typing.get_args(hint) if _is_union(hint) else (hint,)
    if text == "" and type(None) in choices:
        return None
    kind = next(choice for choice in choices if choice is not type(None))
    try:
        if kind is bool:
            return TRUTH[text]
        return kind(text) if kind in (int, float) else text
    except (ValueError, KeyError) as error:
        raise Refusal(f"{where} is {text!r}, expected {_spelled(hint)}") from error


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if _is_union(hint):
        return any(_fits(value, choice) for choice in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, tuple) and _fit_each(value, arguments)
    if origin is not None and issubclass(origin, Mapping):
        kinds = arguments or (Any, Any)
        return isinstance(value, Mapping) and all(_fits(k, kinds[0]) and _fits(v, kinds[1]) for k, v in value.items())
    if isinstance(value, bool):  # a bool is an int to Python, and never a measurement to us
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _fit_each(values: tuple[Any, ...], hints: tuple[Any, ...]) -> bool:
    if hints[-1] is Ellipsis:
        return all(_fits(value, hints[0]) for value in values)
    return len(values) == len(hints) and all(map(_fits, values, hints))


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (types.UnionType, typing.Union)


def _spelled(hint: Any) -> str:
    if hint is bool:
        return "bool (yes or no)"
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
