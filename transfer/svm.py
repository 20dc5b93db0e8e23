"""VOC07's support vector machines: `python -m transfer.svm FOLDER`, a process of its own that never imports torch.

FOLDER holds the features and labels (see `transfer.svm_files`). Each class is cross-validated over all costs, trained
anew on all images with the best, and tested; its result is a file, so that a second start does only what is missing.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from results.refusal import run_command_line
from transfer.engines.child import die_with_parent
from transfer.liblinear_svm import SharedRows
from transfer.rotation import rotate, with_constant
from transfer.svm_files import ClassResult, SvmInput, SvmSettings, read_input, read_results, write_result
from transfer.voc_ap import average_precision


@dataclass(frozen=True)
class Work:
    """What every worker process shares: features and labels of both splits, and LIBLINEAR's form of the training rows.

    Features are normalised, end in a constant and are rotated (see `transfer.rotation`): (n, p); labels (n, classes).
    """

    settings: SvmSettings
    train: NDArray[np.float64]
    train_labels: NDArray[np.int32]
    test: NDArray[np.float64]
    test_labels: NDArray[np.int32]
    rows: SharedRows


FINAL = -1
FINAL_TOLERANCE = 0.01
_work: Work | None = None  # set before the workers are forked, so that they share its memory


def normalised(features: NDArray[np.float32], epsilon: float) -> NDArray[np.float64]:
    """Each row of (n, d) divided by its Euclidean norm plus `epsilon`, in float64."""
    rows = features.astype(np.float64)
    unit: NDArray[np.float64] = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + epsilon)
    return unit


def training_labels(column: NDArray[np.int32]) -> NDArray[np.float64]:
    """1 for images that hold the class, -1 for all others: those with only difficult instances are negatives."""
    return np.where(column == 1, 1.0, -1.0)


def fold_scores(work: Work, class_index: int, fold: int) -> list[float]:
    """scikit-learn's average precision on one held-out fold for each cost, trained on the other folds."""
    settings = work.settings
    labels = training_labels(work.train_labels[:, class_index])
    folds = list(StratifiedKFold(settings.folds).split(np.zeros(len(labels)), labels))
    chosen, held_out = folds[fold]
    solutions = _fit(work, chosen, labels, settings.costs, settings.tolerance)
    rankings = solutions @ work.train[held_out].T  # (costs, held out)
    return [float(average_precision_score(labels[held_out] > 0, ranking)) for ranking in rankings]


def class_result(work: Work, class_index: int, fold_tables: list[list[float]]) -> ClassResult:
    """Train on all images with the cost of the best mean score, and test; the first of equal costs wins."""
    settings = work.settings
    mean_scores = np.mean(fold_tables, axis=0)
    cost = settings.costs[int(np.argmax(mean_scores))]
    labels = training_labels(work.train_labels[:, class_index])
    # Twenty of these against hundreds in cross-validation: the models that are tested are solved further.
    path = [other for other in settings.costs if other <= cost]
    solutions = _fit(work, np.arange(len(labels)), labels, path, settings.tolerance * FINAL_TOLERANCE)
    counted = work.test_labels[:, class_index] != -1  # only difficult instances: neither right nor wrong
    scores = work.test @ solutions[path.index(cost)]
    precision = average_precision(work.test_labels[counted, class_index] == 1, scores[counted])
    return ClassResult(settings.classes[class_index], precision, cost, [float(s) for s in mean_scores])


def solve(folder: Path, jobs: int) -> Iterator[ClassResult]:
    """The result of every class, those of an earlier start first; `jobs` processes share the rest, fold by fold."""
    global _work
    given = read_input(folder)
    done = read_results(folder, given.settings)
    yield from done.values()
    waiting = [index for index, name in enumerate(given.settings.classes) if name not in done]
    if not waiting:
        return
    _work = prepare(given)
    with ProcessPoolExecutor(jobs, get_context("fork"), _start_worker, (os.getpid(),)) as pool:
        for result in _schedule(pool, waiting, given.settings.folds):
            write_result(folder, given.settings, result)
            yield result


def prepare(given: SvmInput) -> Work:
    """Normalise and rotate both splits and put the training rows into LIBLINEAR's form, once for all problems."""
    epsilon = given.settings.norm_epsilon
    rotated = rotate(with_constant(normalised(given.train, epsilon)))
    test = with_constant(normalised(given.test, epsilon)) @ rotated.basis
    rows = SharedRows(rotated.coordinates)
    return Work(given.settings, rotated.coordinates, given.train_labels, test, given.test_labels, rows)


def _schedule(pool: ProcessPoolExecutor, waiting: list[int], folds: int) -> Iterator[ClassResult]:
    """Cross-validate (class, fold) pairs in order; a class whose folds are all there is finished next."""
    running: dict[Future[Any], tuple[int, int]] = {}
    for index in waiting:
        running |= {pool.submit(_fold_task, index, fold): (index, fold) for fold in range(folds)}
    tables: dict[int, dict[int, list[float]]] = {index: {} for index in waiting}
    while running:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            index, fold = running.pop(future)
            if fold == FINAL:
                yield future.result()
                continue
            tables[index][fold] = future.result()
            if len(tables[index]) == folds:
                ordered = [tables[index][fold] for fold in range(folds)]
                running[pool.submit(_class_task, index, ordered)] = (index, FINAL)


def _fold_task(class_index: int, fold: int) -> list[float]:
    assert _work is not None
    return fold_scores(_work, class_index, fold)


def _class_task(class_index: int, fold_tables: list[list[float]]) -> ClassResult:
    assert _work is not None
    return class_result(_work, class_index, fold_tables)


def _fit(
    work: Work, chosen: NDArray[np.intp], labels: NDArray[np.float64], costs: Sequence[float], tolerance: float
) -> NDArray[np.float64]:
    weights = (work.settings.positive_weight, work.settings.negative_weight)
    return work.rows.fit(chosen, labels[chosen], costs=costs, weights=weights, tolerance=tolerance)


def _start_worker(parent: int) -> None:
    die_with_parent(parent)
    threadpool_limits(1)  # one problem for each process: threads inside would only compete


def main() -> int:
    """Train and test every class of the folder named on the command line, printing one line for each."""
    die_with_parent()
    folder, jobs = Path(sys.argv[1]), int(sys.argv[2])
    for result in solve(folder, jobs):
        print(f"{result.name}: AP {100 * result.average_precision:.2f}, C {result.cost:g}", flush=True)
    return 0


if __name__ == "__main__":
    run_command_line(main)
