"""One weighted binary SVM by LIBLINEAR, on rows that all problems share.

The problem is scikit-learn's LinearSVC(penalty="l2", loss="squared_hinge", intercept_scaling=1): minimise
|w|^2 / 2 + sum_i C_i max(0, 1 - y_i (w x_i + b))^2 + b^2 / 2 with C_i = C times the weight of y_i's class. The last
term is LIBLINEAR's bias of 1: an intercept that is regularised like a weight.
"""

from ctypes import POINTER, c_double, c_uint64, cast
from typing import Any

import numpy as np
from liblinear.liblinear import feature_node, parameter, problem
from liblinear.liblinearutil import train
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

# L2-regularised L2-loss support vector classification, dual; LIBLINEAR goes over to the primal when that is slow.
SOLVER = 1


class SharedRows:
    """Feature rows (n, d) in LIBLINEAR's format, made once; each problem is a choice of rows and labels for them."""

    def __init__(self, rows: NDArray[np.float64]) -> None:
        self.count, self.dimension = rows.shape
        self._whole = problem(np.ones(self.count), csr_matrix(rows))
        self._whole.set_bias(1)

    def fit(
        self,
        chosen: NDArray[np.intp],
        labels: NDArray[np.float64],
        *,
        cost: float,
        weights: tuple[float, float],
        tolerance: float,
    ) -> NDArray[np.float64]:
        """The SVM of the `chosen` rows with `labels` 1 and -1: (d + 1,), the last entry is the intercept.

        `weights` multiply the cost of positive and of negative rows.
        """
        positive, negative = weights
        options = f"-s {SOLVER} -c {cost!r} -e {tolerance!r} -B 1 -w1 {positive!r} -w-1 {negative!r} -q"
        model = train(self._problem(chosen, labels), parameter(options))
        solution = np.ctypeslib.as_array(model.w, (self.dimension + 1,)).copy()
        # LIBLINEAR's first label is the positive side.
        return solution if model.label[0] > 0 else -solution

    def _problem(self, chosen: NDArray[np.intp], labels: NDArray[np.float64]) -> Any:
        part = self._whole.copy()
        part.l = len(chosen)
        part.y = (c_double * len(chosen))(*labels)
        part.x = (POINTER(feature_node) * len(chosen))()
        _addresses(part.x, len(chosen))[:] = _addresses(self._whole.x, self.count)[chosen]
        return part


def decision(solution: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far on the positive side each of `rows` (n, d) lies: (n,)."""
    scores: NDArray[np.float64] = rows @ solution[:-1] + solution[-1]
    return scores


def _addresses(pointers: Any, count: int) -> NDArray[np.uint64]:
    return np.ctypeslib.as_array(cast(pointers, POINTER(c_uint64)), (count,))
