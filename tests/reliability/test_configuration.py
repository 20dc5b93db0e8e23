"""Every field of every recipe, protocol and run takes what makes sense and refuses the rest, by name, before any work.

A field is walked with values of every wrong kind. What must be refused follows from its annotation alone, so that a
field that is added tomorrow is under test without a word here; what the annotation cannot say (which numbers make
sense) stands in `..._HAS_A_MEANING`, written down from the fields' meaning and not from the code.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluate.protocols import PROTOCOLS as EVALUATIONS
from evaluate.run import Run as EvaluateRun
from pretrain.recipes import RECIPES
from pretrain.run import Run as PretrainRun
from pretrain.run import Slurm
from pretrain.sweep import Sweep
from results.refusal import Refusal
from transfer.detection_protocols import PROTOCOLS as DETECTIONS
from transfer.detection_run import DetectionRun
from transfer.protocols import PROTOCOLS as TRANSFERS
from transfer.run import LinearRun, Run, SvmRun

RUNS = {
    "pretrain run": PretrainRun(), "slurm": Slurm(), "sweep": Sweep(), "evaluate run": EvaluateRun(checkpoint="x"),
    **{kind.__name__: kind(checkpoint="x") for kind in (Run, LinearRun, SvmRun, DetectionRun)},
}  # fmt: skip
NAMED: dict[str, Any] = {**RUNS, **RECIPES, **EVALUATIONS, **TRANSFERS, **DETECTIONS}

STRANGERS: tuple[Any, ...] = (
    None, "", "no such word", b"bytes", object(), [], {}, [1, 2], True, False, 1, 1.5, "1", "nan", (), (None,), ("x",),
    (b"x",), Path("x"), 1j,
)  # fmt: skip
"""One of every type; those that a field's annotation has no room for must be refused."""

ABSURD: tuple[Any, ...] = (math.nan, -math.inf, -1, -0.5, 10**12, -(10**12), 1e300, -1e300, 10**400)
"""Numbers that no field of this suite has any use for."""

NEGATIVE_HAS_A_MEANING = {"pixel_mean"}
INFINITE_HAS_A_MEANING = {"checkpoint_every_minutes", "save_every_seconds"}
ZERO_HAS_A_MEANING = {
    "seed", "limit", "workers", "knn_every_epochs", "nodes", "gpus_per_node", "memory_gb_per_node", "gpus", "port",
    "node_rank", "warmup_epochs", "weight_decay", "final_lr", "momentum", "invariance_weight", "variance_weight",
    "covariance_weight", "redundancy_weight", "flip_probability", "jitter_probability", "grayscale_probability",
    "blur_probability", "solarize_probability", "brightness", "contrast", "saturation", "hue", "target_momentum",
    "trunk_learning_rate", "head_initial_std", "save_every_seconds", "kernel", "padding", "norm_epsilon",
    "warmup_iterations", "freeze_at", "precise_bn_iterations", "rpn_loss_weight", "seeds", "pixel_mean",
    "max_unreadable_share",
}  # fmt: skip
"""Of these, 0 is a value like any other; every other number must be positive."""


def parts(name: str, settings: Any) -> Iterator[tuple[str, Any]]:
    """The settings and every dataclass inside."""
    yield name, settings
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(one):
                yield from parts(f"{name}.{field.name}", one)


def distinct() -> dict[type, list[tuple[str, Any]]]:
    """Every distinct settings object of the suite with its name, by its class."""
    found: dict[type, dict[str, tuple[str, Any]]] = {}
    for name, settings in (part for top in NAMED.items() for part in parts(*top)):
        found.setdefault(type(settings), {}).setdefault(repr(settings), (name, settings))
    return {kind: list(instances.values()) for kind, instances in found.items()}


KINDS = distinct()
tried = {"values": 0, "refused": 0, "accepted": 0}


def choices(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the one hint."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def has_room_for(hint: Any, value: Any) -> bool:
    """Whether `value` has the annotated type; a second reading of annotations, independent of the suite's own."""
    for one in choices(hint):
        origin, inside = typing.get_origin(one), typing.get_args(one)
        if origin is typing.Literal:
            fits = any(type(value) is type(choice) and value == choice for choice in inside)
        elif origin is tuple:
            hints = [inside[0]] * len(value) if isinstance(value, tuple) and inside[-1] is ... else list(inside)
            fits = isinstance(value, tuple) and len(hints) == len(value) and all(map(has_room_for, hints, value))
        elif one is float:
            fits = type(value) in (int, float)
        elif one is type(None):
            fits = value is None
        else:
            fits = type(value) is one or (one is Path and isinstance(value, Path))
        if fits:
            return True
    return False


def refused(settings: Any, name: str, value: Any) -> bool:
    """Whether the dataclass refuses `value`, by the field's name; any other exception fails the test."""
    tried["values"] += 1
    try:
        dataclasses.replace(settings, **{name: value})
    except Refusal as refusal:
        # In a refusal of several fields at once, views are called by their part.
        stem = name.replace("_min", "").replace("_max", "")
        assert name in str(refusal) or stem.split("_")[0] in str(refusal), str(refusal)
        assert "\n" not in str(refusal)
        tried["refused"] += 1
        return True
    tried["accepted"] += 1
    return False


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_value_of_another_type_or_no_choice_of_the_field_is_refused_by_name(kind: type) -> None:
    passed = [
        (name, field, value)
        for field, hint in typing.get_type_hints(kind).items()
        for value in STRANGERS
        if not has_room_for(hint, value)
        for name, settings in KINDS[kind]
        if not refused(settings, field, value)
    ]
    assert passed == []


def holding(hint: Any, number: Any) -> list[Any]:
    """How `number` is put into a field of this type: alone, in a tuple of the right length, or not at all."""
    for one in choices(hint):
        inside = typing.get_args(one)
        if one in (int, float):
            return [number]
        if typing.get_origin(one) is tuple and inside[0] in (int, float):
            return [(number,) * (1 if inside[-1] is ... else len(inside))]
    return []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_number_that_makes_no_sense_is_refused_by_name(kind: type) -> None:
    passed = []
    for field, hint in typing.get_type_hints(kind).items():
        bad = [number for number in ABSURD if not (field in NEGATIVE_HAS_A_MEANING and number in (-1, -0.5))]
        bad += [] if field in INFINITE_HAS_A_MEANING else [math.inf]
        bad += [] if field in ZERO_HAS_A_MEANING else [0]
        values = [value for number in bad for value in holding(hint, number)]
        passed += [
            (name, field, value)
            for value in values
            for name, settings in KINDS[kind]
            if not refused(settings, field, value)
        ]
    assert passed == []


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_named_instance_is_accepted_as_it_stands(name: str) -> None:
    assert dataclasses.replace(NAMED[name]) == NAMED[name]


CONTRADICTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("paper", {"epochs": 5, "warmup_epochs": 5}, "warmup_epochs"),
    ("paper", {"global_batch_size": 2}, "final_lr"),
    ("paper", {"base_lr": 1e-6}, "final_lr"),
    ("paper", {"method": "Barlow Twins", "branches.predictor": True}, "branches"),
    ("paper", {"branches.momentum_encoder": True, "branches.stop_gradient": False}, "stop_gradient"),
    ("paper", {"method": "BYOL", "branches.output": "unit"}, "branches.output"),
    ("paper", {"view_a.size": 96}, "view_b.size"),
    ("paper", {"view_a.crop_area_min": 0.9, "view_a.crop_area_max": 0.5}, "crop_area_min"),
    ("paper", {"view_a.blur_sigma_min": 2.0, "view_a.blur_sigma_max": 1.0}, "blur_sigma_min"),
    ("linear", {"test_view.crop": 300}, "test_view.resize"),
    ("linear", {"train_view.scale_min": 0.9, "train_view.scale_max": 0.5}, "scale_min"),
    ("semi-1pct", {"head_learning_rates": (0.1, 0.2)}, "several heads"),
    ("semi-1pct", {"statistics_batch_size": 1}, "statistics_batch_size"),
    ("knn", {"neighbours": (5, 10)}, "20 or 200"),
    ("places205", {"nesterov": True, "momentum": 0.0}, "nesterov"),
    ("places205", {"cell": "table2/inat18/top1"}, "no cell of places205"),
    ("places205", {"dataset": "inat18"}, "no cell of inat18"),
    ("places205", {"cell_head": "res6"}, "cell_head"),
    ("places205", {"image_size": 300}, "resize"),
    ("places205", {"image_size": 64}, "does not fit"),
    ("places205", {"drop_epochs": (8, 4)}, "rising"),
    ("places205", {"crop_area": (0.9, 0.1)}, "crop_area"),
    ("voc07", {"image_size": 300}, "resize"),
    ("voc07", {"cell": "table1/linear/top1"}, "no cell of voc07"),
    ("voc0712", {"dataset": "coco"}, "no cell of coco"),
    ("voc0712", {"lr_drops": (18_000, 30_000)}, "lr_drops"),
    ("voc0712", {"batch_divisor": 3}, "batch_divisor"),
    ("voc0712", {"train_short_sides": ()}, "train_short_sides"),
    ("voc0712", {"max_long_side": 700}, "max_long_side"),
    ("voc0712", {"base_config": "../../../etc/passwd"}, "base_config"),
    ("coco", {"extra_norm_after_res5": True}, "extra_norm_after_res5"),
    ("coco", {"anchor_sizes": (32, 64)}, "anchor_sizes"),
    ("pretrain run", {"gradient_accumulation": 4}, "gradient_accumulation"),
    ("sweep", {"seeds": (1, 1)}, "seeds"),
    ("Run", {"device": "cpu", "gpus": 2}, "leave one of them out"),
    ("Run", {"checkpoint": ""}, "run.checkpoint is empty"),
    ("DetectionRun", {"nodes": 2}, "rendezvous"),
    ("DetectionRun", {"nodes": 2, "node_rank": 2, "rendezvous": "tcp://a:1"}, "node_rank"),
    ("DetectionRun", {"rendezvous": "http://somewhere"}, "rendezvous"),
    ("evaluate run", {"cell": "table9/none"}, "no cell of the paper"),
]  # fmt: skip


def changed(settings: Any, changes: dict[str, Any]) -> Any:
    """`settings` with the fields of `changes`; "part.field" is one of a nested dataclass."""
    own = {key: value for key, value in changes.items() if "." not in key}
    for part in {key.split(".")[0] for key in changes if "." in key}:
        inner = {key.split(".")[1]: value for key, value in changes.items() if key.startswith(f"{part}.")}
        own[part] = dataclasses.replace(getattr(settings, part), **inner)
    return dataclasses.replace(settings, **own)


@pytest.mark.parametrize(
    ("name", "changes", "word"), CONTRADICTIONS, ids=[f"{c[0]}-{'-'.join(c[1])}" for c in CONTRADICTIONS]
)
def test_settings_that_contradict_each_other_are_refused_naming_them(
    name: str, changes: dict[str, Any], word: str
) -> None:
    with pytest.raises(Refusal, match=word):
        changed(NAMED[name], changes)


def test_the_walk_is_as_long_as_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts what the two walks above tried in this process."""
    objects = sum(map(len, KINDS.values()))
    fields = sum(len(dataclasses.fields(kind)) * len(found) for kind, found in KINDS.items())
    with capsys.disabled():
        print(
            f"\nconfiguration: {tried['values']} bad values in {fields} fields of {objects} settings objects, "
            f"{tried['refused']} refused by name; {len(CONTRADICTIONS)} contradictions refused"
        )
    assert tried["refused"] == tried["values"]
