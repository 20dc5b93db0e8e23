"""The SVM trainer against scikit-learn, step by step; resumed per class; never believing results of another input."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.svm import LinearSVC

from results.refusal import Refusal
from transfer import svm
from transfer.liblinear_svm import SharedRows
from transfer.rotation import rotate, with_constant
from transfer.svm_files import SvmSettings, read_input, read_results, read_settings, write_input
from transfer.voc_ap import average_precision

ROOT = Path(__file__).parents[2]
SETTINGS = SvmSettings(
    classes=("cat", "dog", "sheep"),
    costs=(0.1, 1.0, 10.0),
    folds=3,
    positive_weight=2.0,
    negative_weight=1.0,
    tolerance=1e-4,
    max_iterations=2000,
    norm_epsilon=1e-5,
)
Rows = tuple[NDArray[np.float32], NDArray[np.int32]]


def sample(count: int, seed: int) -> Rows:
    """Non-negative features (count, 24) on which the classes depend; some labels are -1 (only difficult)."""
    rng = np.random.default_rng(seed)
    features = np.maximum(rng.standard_normal((count, 24)), 0).astype(np.float32)
    directions = np.random.default_rng(99).standard_normal((24, 3))
    labels = (features @ directions + 0.6 * rng.standard_normal((count, 3)) > 1.0).astype(np.int32)
    labels[rng.random(labels.shape) < 0.05] = -1
    return features, labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_input(tmp_path, SETTINGS, sample(150, 1), sample(90, 2))
    return tmp_path


def sklearn_svm(cost: float) -> LinearSVC:
    return LinearSVC(C=cost, class_weight={1: 2, -1: 1}, intercept_scaling=1.0, tol=1e-4, dual=True, max_iter=20_000)


@pytest.mark.parametrize("cost", [0.01, 1.0, 20.0])
def test_a_fit_is_scikit_learns_linear_svc(cost: float) -> None:
    features, labels = sample(200, 3)
    rows = svm.normalised(features, 1e-5)
    signs = svm.training_labels(labels[:, 0])
    chosen = np.arange(0, 200, 2)
    shared = SharedRows(with_constant(rows))
    (found,) = shared.fit(chosen, signs[chosen], costs=[cost], weights=(2.0, 1.0), tolerance=1e-7)
    expected = sklearn_svm(cost).set_params(tol=1e-7).fit(rows[chosen], signs[chosen])
    np.testing.assert_allclose(found[:-1], expected.coef_[0], atol=1e-4)
    np.testing.assert_allclose(with_constant(rows) @ found, expected.decision_function(rows), atol=1e-4)


def test_costs_in_any_order_give_the_solutions_they_have_alone() -> None:
    features, labels = sample(120, 4)
    rows = SharedRows(with_constant(svm.normalised(features, 1e-5)))
    signs, every = svm.training_labels(labels[:, 1]), np.arange(120)
    costs = [10.0, 0.1, 100.0]
    together = rows.fit(every, signs, costs=costs, weights=(2.0, 1.0), tolerance=1e-8)
    for cost, solution in zip(costs, together, strict=True):
        (alone,) = rows.fit(every, signs, costs=[cost], weights=(2.0, 1.0), tolerance=1e-8)
        np.testing.assert_allclose(solution, alone, atol=1e-4)


@pytest.mark.parametrize("shape", [(60, 12), (12, 60), (30, 30)])
def test_a_rotation_keeps_every_product_and_is_orthogonal(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(0).standard_normal(shape)
    rows[:, -1] = rows[:, 0]  # a direction that the rows do not span
    rotated = rotate(rows)
    np.testing.assert_allclose(rotated.coordinates @ rotated.coordinates.T, rows @ rows.T, atol=1e-9)
    np.testing.assert_allclose(rotated.basis.T @ rotated.basis, np.eye(rotated.basis.shape[1]), atol=1e-9)
    gram = rotated.coordinates.T @ rotated.coordinates
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-9)
    np.testing.assert_allclose(rows @ rotated.basis, rotated.coordinates, atol=1e-9)
    assert rotated.coordinates.shape[1] == min(shape[0], shape[1] - 1)


def test_a_class_whose_first_row_is_negative_is_not_turned_around() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]])
    for labels in (np.array([-1.0, 1.0, -1.0, 1.0]), np.array([1.0, -1.0, 1.0, -1.0])):
        (solution,) = SharedRows(rows).fit(np.arange(4), labels, costs=[10.0], weights=(2.0, 1.0), tolerance=1e-4)
        assert (np.sign(rows @ solution) == labels).all()


def test_cross_validation_is_scikit_learns(folder: Path) -> None:
    given = read_input(folder)
    work = svm.prepare(given)
    rows = svm.normalised(given.train, SETTINGS.norm_epsilon)
    signs = svm.training_labels(given.train_labels[:, 1])
    found = np.array([svm.fold_scores(work, 1, fold) for fold in range(3)])  # (folds, costs)
    for column, cost in enumerate(SETTINGS.costs):
        folds = StratifiedKFold(3)
        expected = cross_val_score(sklearn_svm(cost), rows, signs, cv=folds, scoring="average_precision")
        np.testing.assert_allclose(found[:, column], expected, atol=2e-3)


def test_the_chosen_model_is_trained_on_all_images_and_difficult_ones_are_left_out_of_the_test(folder: Path) -> None:
    given = read_input(folder)
    result = svm.class_result(svm.prepare(given), 2, [[0.1, 0.9, 0.9]] * 3)
    assert result.cost == 1.0  # the first of equal scores
    train, test = (svm.normalised(rows, SETTINGS.norm_epsilon) for rows in (given.train, given.test))
    signs = np.where(given.train_labels[:, 2] == 1, 1, -1)  # difficult ones are negatives here
    scores = sklearn_svm(1.0).fit(train, signs).decision_function(test)
    positive, kept = given.test_labels[:, 2] == 1, given.test_labels[:, 2] != -1
    assert not kept.all()
    assert result.average_precision == pytest.approx(average_precision(positive[kept], scores[kept]), abs=1e-3)
    assert abs(result.average_precision - average_precision(positive, scores)) > 2e-3


def test_images_with_only_difficult_instances_are_negatives_in_training() -> None:
    assert svm.training_labels(np.array([1, 0, -1], np.int32)).tolist() == [1.0, -1.0, -1.0]


def test_features_are_divided_by_their_norm_plus_epsilon() -> None:
    rows = svm.normalised(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32), 1.0)
    np.testing.assert_allclose(rows, [[0.5, 4 / 6], [0.0, 0.0]])
    assert rows.dtype == np.float64


def test_what_is_done_is_kept_and_only_a_missing_class_is_trained_anew(folder: Path) -> None:
    first = {result.name: result for result in svm.solve(folder, 2)}
    kept = (folder / "classes" / "cat.json").stat().st_mtime_ns
    (folder / "classes" / "dog.json").unlink()
    second = {result.name: result for result in svm.solve(folder, 1)}
    assert second == first
    assert (folder / "classes" / "cat.json").stat().st_mtime_ns == kept


def test_results_of_other_features_are_never_used(folder: Path) -> None:
    done = list(svm.solve(folder, 1))
    assert len(done) == len(read_results(folder, read_settings(folder))) == 3
    write_input(folder, SETTINGS, sample(150, 7), sample(90, 2))
    assert not read_results(folder, read_settings(folder))
    assert {result.average_precision for result in svm.solve(folder, 1)} != {r.average_precision for r in done}


def test_results_of_other_settings_are_never_used(folder: Path) -> None:
    list(svm.solve(folder, 1))
    assert not read_results(folder, replace(read_settings(folder), folds=5))


@pytest.mark.parametrize(("split", "message"), [("train", "2 positive training"), ("test", "0 positive test")])
def test_a_class_with_too_few_positives_is_refused_by_name(tmp_path: Path, split: str, message: str) -> None:
    train, test = sample(150, 1), sample(90, 2)
    broken = (train if split == "train" else test)[1][:, 1]
    broken[np.flatnonzero(broken == 1)[2 if split == "train" else 0 :]] = 0
    with pytest.raises(Refusal, match=f"class dog has .*{message}"):
        write_input(tmp_path, SETTINGS, train, test)


def test_the_process_killed_midway_leaves_no_workers_and_ends_with_the_same_results(
    folder: Path, tmp_path: Path
) -> None:
    whole = {result.name: result for result in svm.solve(folder, 1)}
    for name in whole:
        (folder / "classes" / f"{name}.json").unlink()
    command = [sys.executable, "-m", "transfer.svm", str(folder), "2"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()  # the first class is done
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 10
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not members(process.pid)
    assert {result.name: result for result in svm.solve(folder, 1)} == whole


def members(group: int) -> list[int]:
    """The processes of a process group that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def test_the_result_file_is_plain_json_with_the_chosen_cost(folder: Path) -> None:
    result = next(iter(svm.solve(folder, 1)))
    content = json.loads((folder / "classes" / f"{result.name}.json").read_text())
    assert content["cost"] == result.cost in SETTINGS.costs
    assert len(content["cross_validation"]) == len(SETTINGS.costs)
