"""VOC07's support vector machines: `python -m transfer.svm FOLDER`, a process of its own that never imports torch.

FOLDER holds the features and labels (see `transfer.svm_files`). Each class is cross-validated over all costs, trained
anew on all images with the best, and tested; its result is a file, so that a second start does only what is missing.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold

from results.refusal import run_command_line
from transfer.engines.child import die_with_parent
from transfer.liblinear_svm import SharedRows, decision
from transfer.svm_files import ClassResult, SvmInput, SvmSettings, read_input, read_results, write_result
from transfer.voc_ap import average_precision


@dataclass(frozen=True)
class Work:
    """What every worker process shares: normalised features (n, d), labels (n, classes), LIBLINEAR's training rows."""

    settings: SvmSettings
    train: NDArray[np.float64]
    train_labels: NDArray[np.int32]
    test: NDArray[np.float64]
    test_labels: NDArray[np.int32]
    rows: SharedRows


FINAL = -1
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
    scores = []
    for cost in settings.costs:
        solution = _fit(work, chosen, labels, cost)
        ranking = decision(solution, work.train[held_out])
        scores.append(float(average_precision_score(labels[held_out] > 0, ranking)))
    return scores


def class_result(work: Work, class_index: int, fold_tables: list[list[float]]) -> ClassResult:
    """Train on all images with the cost of the best mean score, and test; the first of equal costs wins."""
    settings = work.settings
    mean_scores = np.mean(fold_tables, axis=0)
    cost = settings.costs[int(np.argmax(mean_scores))]
    labels = training_labels(work.train_labels[:, class_index])
    solution = _fit(work, np.arange(len(labels)), labels, cost)
    counted = work.test_labels[:, class_index] != -1  # only difficult instances: neither right nor wrong
    scores = decision(solution, work.test)
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
    with ProcessPoolExecutor(jobs, get_context("fork"), die_with_parent, (os.getpid(),)) as pool:
        for result in _schedule(pool, waiting, given.settings.folds):
            write_result(folder, given.settings, result)
            yield result


def prepare(given: SvmInput) -> Work:
    """Normalise both splits' features and put the training rows into LIBLINEAR's form, once for all problems."""
    epsilon = given.settings.norm_epsilon
    train = normalised(given.train, epsilon)
    return Work(
        given.settings, train, given.train_labels, normalised(given.test, epsilon), given.test_labels, SharedRows(train)
    )


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


def _fit(work: Work, chosen: NDArray[np.intp], labels: NDArray[np.float64], cost: float) -> NDArray[np.float64]:
    settings = work.settings
    weights = (settings.positive_weight, settings.negative_weight)
    return work.rows.fit(chosen, labels[chosen], cost=cost, weights=weights, tolerance=settings.tolerance)


def main() -> int:
    """Train and test every class of the folder named on the command line, printing one line for each."""
    die_with_parent()
    folder, jobs = Path(sys.argv[1]), int(sys.argv[2])
    for result in solve(folder, jobs):
        print(f"{result.name}: AP {100 * result.average_precision:.2f}, C {result.cost:g}", flush=True)
    return 0


if __name__ == "__main__":
    run_command_line(main)
