# SPDX-License-Identifier: Apache-2.0
"""The non-decreasing function that is nearest to samples, by least squares."""

import numpy as np
import numpy.typing as npt

from adafocal._settings import require

Array = npt.NDArray[np.float64]
RESOLUTION = float(np.finfo(np.float64).resolution)  # values that are nearer to one another share a knot


def isotonic_map(x: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Fit a non-decreasing function: knots, and its values there, without the knots in the middle of a level stretch.

    Args:
        x: Shape (N,), N at least 1.
        y: Targets in [0, 1], shape (N,).
        weight: How much each sample counts, at least 0 and one of them above, shape (N,).

    Returns:
        Ascending knots and values in [0, 1], both of shape (K,).

    Raises:
        ModuleNotFoundError: Without SciPy, with the command that installs it.

    Example:
        >>> knots, values = isotonic_map(np.array([0.2, 0.4, 0.9]), np.array([0.0, 1.0, 0.0]), np.ones(3))
        >>> knots.tolist(), values.tolist()
        ([0.2, 0.4, 0.9], [0.0, 0.5, 0.5])
    """
    regression = require("scipy.optimize").isotonic_regression
    order = np.argsort(x, kind="stable")
    order = order[weight[order] > 0]
    x, y, weight = x[order], y[order], weight[order]
    starts = _starts(x)
    total = np.add.reduceat(weight, starts)
    mean = np.add.reduceat(weight * y, starts) / total
    values = np.clip(regression(mean, weights=total).x, 0.0, 1.0)
    kept = np.ones(len(values), dtype=bool)
    kept[1:-1] = (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:])
    return x[starts][kept], values[kept]


def _starts(x: Array) -> npt.NDArray[np.int64]:
    """Find where values begin that lie at least RESOLUTION beyond the one that began last."""
    distinct = np.flatnonzero(np.diff(x, prepend=-np.inf) > 0)
    x = x[distinct]
    begins = np.diff(x, prepend=-np.inf) >= RESOLUTION
    last = 0
    for place in np.flatnonzero(~begins).tolist():  # few: steps that nobody can tell
        if begins[place - 1]:
            last = place - 1
        if x[place] - x[last] >= RESOLUTION:
            begins[place], last = True, place
    return distinct[begins]
