"""Weighted binary SVMs by LIBLINEAR, on rows that all problems share.

The problem is scikit-learn's LinearSVC(penalty="l2", loss="squared_hinge", intercept_scaling=1): minimise
|w|^2 / 2 + sum_i C_i max(0, 1 - y_i w x_i)^2 with C_i = C times the weight of y_i's class, where x ends in a
constant 1, so that the intercept is penalised like a weight. VISSL solves the dual; this is the primal of the same
problem, which LIBLINEAR can start from an earlier solution.
"""

from collections.abc import Sequence
from ctypes import POINTER, c_double, c_uint64, cast
from typing import Any

import numpy as np
from liblinear.liblinear import feature_node, parameter, problem
from liblinear.liblinearutil import train
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

# L2-regularised L2-loss support vector classification, primal: the one that takes a starting point.
SOLVER = 2


class SharedRows:
    """Rows (n, d) in LIBLINEAR's format, made once; each problem is a choice of rows and labels for them."""

    def __init__(self, rows: NDArray[np.float64]) -> None:
        self.count, self.dimension = rows.shape
        self._whole = problem(np.ones(self.count), csr_matrix(rows))
        # LIBLINEAR takes the highest column it meets for the dimension; the last may hold nothing but zeros.
        self._whole.n = self.dimension

    def fit(
        self,
        chosen: NDArray[np.intp],
        labels: NDArray[np.float64],
        *,
        costs: Sequence[float],
        weights: tuple[float, float],
        tolerance: float,
    ) -> NDArray[np.float64]:
        """The SVMs of the `chosen` rows with `labels` 1 and -1, one for each of `costs`: (costs, d).

        `weights` multiply the cost of positive and of negative rows. The costs are solved in rising order, each from
        the solution of the one before, until the gradient has fallen to `tolerance` as LIBLINEAR measures it.
        """
        positive, negative = weights
        part = self._problem(chosen, labels)
        solutions = np.zeros((len(costs), self.dimension))
        start: NDArray[np.float64] | None = None
        for index in np.argsort(costs, kind="stable"):
            options = f"-s {SOLVER} -c {costs[index]!r} -e {tolerance!r} -w1 {positive!r} -w-1 {negative!r} -q"
            start = self._train(part, options, start)
            solutions[index] = start
        return solutions

    def _train(self, part: Any, options: str, start: NDArray[np.float64] | None) -> NDArray[np.float64]:
        settings = parameter(options)
        if start is not None:
            settings.init_sol = (c_double * self.dimension)(*start)
        model = train(part, settings)
        assert model.label[0] == 1, "LIBLINEAR makes 1 the positive side, whichever label comes first"
        solution: NDArray[np.float64] = np.ctypeslib.as_array(model.w, (self.dimension,)).copy()
        return solution

    def _problem(self, chosen: NDArray[np.intp], labels: NDArray[np.float64]) -> Any:
        part = self._whole.copy()
        part.l = len(chosen)
        part.y = (c_double * len(chosen))(*labels)
        part.x = (POINTER(feature_node) * len(chosen))()
        _addresses(part.x, len(chosen))[:] = _addresses(self._whole.x, self.count)[chosen]
        return part


def _addresses(pointers: Any, count: int) -> NDArray[np.uint64]:
    return np.ctypeslib.as_array(cast(pointers, POINTER(c_uint64)), (count,))
