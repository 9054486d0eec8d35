# SPDX-License-Identifier: Apache-2.0
"""Mean and spread over seeds, and paired differences that are larger than chance."""

from collections.abc import Sequence
from math import isnan, nan
from statistics import mean, stdev
from warnings import catch_warnings, simplefilter

from adafocal._checks import require
from adafocal._estimate import holm
from adafocal.results.comparison import Difference, Spread

LEVEL = 0.95  # of intervals; 1 - LEVEL is the size of tests, which tables and pages call 5 %


def spread(values: Sequence[float]) -> Spread:
    """Summarise a metric over the seeds at which it is defined."""
    values = [value for value in values if not isnan(value)]
    if not values:
        return Spread(nan, nan)
    low, high, _ = _t_test(values)
    std = stdev(values) if len(values) > 1 else float("nan")
    return Spread(mean(values), std, len(values), low, high)


def paired_differences(metric: dict[str, dict[int, float]], *, baseline: str) -> dict[str, Difference]:
    """Compare each loss with the baseline over the seeds that both have; lower is better.

    Args:
        metric: Value by loss and seed.
        baseline: The loss to compare with.

    Returns:
        A difference for each other loss that shares at least one seed with the baseline. The interval is that of one
        comparison; the p-value and the verdict are corrected for their number by Holm's method.
    """
    pairs = {
        loss: [values[seed] - metric[baseline][seed] for seed in values if seed in metric[baseline]]
        for loss, values in metric.items()
        if loss != baseline
    }
    pairs = {loss: differences for loss, differences in pairs.items() if differences}
    tests = {loss: _t_test(differences) for loss, differences in pairs.items()}
    corrected = holm({loss: p_value for loss, (_, _, p_value) in tests.items()})
    result = {}
    for loss, (low, high, _) in tests.items():
        centre, verdict = mean(pairs[loss]), "not distinguishable"
        if corrected[loss] < 1 - LEVEL:
            verdict = "better" if centre < 0 else "worse"
        result[loss] = Difference(mean=centre, low=low, high=high, p_value=corrected[loss], verdict=verdict)
    return result


def _t_test(values: Sequence[float]) -> tuple[float, float, float]:
    """Ask how far the mean is from 0: ends of its t interval, and the two-sided p-value of 0; NaN for one value."""
    if len(values) < 2:
        return float("nan"), float("nan"), float("nan")
    if stdev(values) == 0.0:  # scipy warns of its division by 0
        return mean(values), mean(values), float(mean(values) == 0.0)
    with catch_warnings():
        simplefilter("ignore", RuntimeWarning)  # differences that are equal but for rounding are no news to a reader
        test = require("scipy.stats").ttest_1samp(values, 0.0)
    low, high = test.confidence_interval(LEVEL)
    return float(low), float(high), float(test.pvalue)
