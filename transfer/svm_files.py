"""The files between feature extraction and an SVM trainer: features and labels in, one result per class out.

Both trainers, this suite's and VISSL's, read and write these, so either can be put in the other's place.
"""

import dataclasses
import hashlib
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from results import atomic, sealed
from results.refusal import Refusal
from results.settings import settings_hash

INPUT_FILE = "input.json"
ARRAYS = ("train_features", "train_labels", "test_features", "test_labels")


@dataclass(frozen=True)
class SvmSettings:
    """What the trainer needs of the protocol, and which input its results belong to."""

    classes: tuple[str, ...]
    costs: tuple[float, ...]
    folds: int
    positive_weight: float
    negative_weight: float
    tolerance: float
    max_iterations: int
    norm_epsilon: float
    input_sha256: str = ""


@dataclass(frozen=True)
class SvmInput:
    """Features (n, d) float32 as extracted, labels (n, classes): 1 present, 0 absent, -1 only difficult instances."""

    settings: SvmSettings
    train: NDArray[np.float32]
    train_labels: NDArray[np.int32]
    test: NDArray[np.float32]
    test_labels: NDArray[np.int32]


@dataclass(frozen=True)
class ClassResult:
    """One class: test average precision (0 to 1), the chosen cost, and the mean cross-validation score of each cost."""

    name: str
    average_precision: float
    cost: float
    cross_validation: list[float]


def write_input(
    folder: Path,
    settings: SvmSettings,
    train: tuple[NDArray[np.float32], NDArray[np.int32]],
    test: tuple[NDArray[np.float32], NDArray[np.int32]],
) -> None:
    """Write features and labels of both splits, and last the settings with the arrays' digest.

    Raises:
        Refusal: a class has fewer positive training images than folds, or none in the test split.
    """
    _check_positives(settings, train[1], test[1])
    digest = hashlib.sha256()
    for name, array in zip(ARRAYS, (*train, *test), strict=True):
        digest.update(np.ascontiguousarray(array).tobytes())
        with atomic.atomic_file(folder / f"{name}.npy") as file:
            np.save(file, array, allow_pickle=False)
    complete = dataclasses.replace(settings, input_sha256=digest.hexdigest())
    sealed.write_json(folder / INPUT_FILE, dataclasses.asdict(complete))


def read_settings(folder: Path) -> SvmSettings:
    """The settings that `write_input` left.

    Raises:
        Refusal: the file is damaged.
    """
    content = sealed.read_json(folder / INPUT_FILE)
    return SvmSettings(**{**content, "classes": tuple(content["classes"]), "costs": tuple(content["costs"])})


def read_input(folder: Path) -> SvmInput:
    """Everything that `write_input` left.

    Raises:
        Refusal: a file is damaged.
    """
    settings, digest = read_settings(folder), hashlib.sha256()
    try:
        arrays = [np.load(folder / f"{name}.npy", allow_pickle=False) for name in ARRAYS]
    except (OSError, ValueError, EOFError) as error:
        raise Refusal(f"{folder}: its features or labels cannot be read ({error}); start again") from error
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    if digest.hexdigest() != settings.input_sha256:
        raise Refusal(f"{folder}: {', '.join(ARRAYS)} (.npy) are not those of {INPUT_FILE}: damaged; start again")
    train, train_labels, test, test_labels = arrays
    return SvmInput(settings, train, train_labels, test, test_labels)


def write_result(folder: Path, settings: SvmSettings, result: ClassResult) -> None:
    """Keep the result of a class, bound to the input and settings it came from."""
    content = {"input": settings_hash(settings), **dataclasses.asdict(result)}
    sealed.write_json(_result_file(folder, result.name), content)


def read_results(folder: Path, settings: SvmSettings) -> Mapping[str, ClassResult]:
    """The results kept for exactly this input and these settings, by class; others are as if they were not there.

    So are damaged ones, which are named on stderr.
    """
    found = {}
    for name in settings.classes:
        file = _result_file(folder, name)
        try:
            content = sealed.read_json(file) if file.exists() else {}
        except Refusal as refusal:
            print(f"warning: {refusal}; {name} is trained anew", file=sys.stderr)
            continue
        if content.pop("input", "") == settings_hash(settings):
            with suppress(TypeError):  # of another version
                found[name] = ClassResult(**content)
    return found


def _result_file(folder: Path, name: str) -> Path:
    return folder / "classes" / f"{name}.json"


def _check_positives(settings: SvmSettings, train: NDArray[np.int32], test: NDArray[np.int32]) -> None:
    for index, name in enumerate(settings.classes):
        trained, tested = int((train[:, index] == 1).sum()), int((test[:, index] == 1).sum())
        if trained < settings.folds or not tested:
            raise Refusal(
                f"class {name} has {trained} positive training and {tested} positive test images; cross-validation "
                f"needs {settings.folds} and the test 1: raise --run.limit, or check the class's image sets"
            )
