# SPDX-License-Identifier: Apache-2.0
"""Mean and spread over seeds, and paired differences that are larger than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, sqrt
from statistics import mean, stdev

from adafocal._checks import require


@dataclass(frozen=True)
class Spread:
    """A metric over seeds.

    Attributes:
        mean: Mean over seeds.
        std: Sample standard deviation over seeds; NaN for one seed.
        n: Number of seeds.
        low: Lower end of the t interval of the mean; NaN for one seed.
        high: Upper end of it.
    """

    mean: float
    std: float
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """A metric of one loss minus that of the baseline, paired over seeds.

    Attributes:
        mean: Mean difference; negative is better where lower is better.
        low: Lower end of the 95 % t interval.
        high: Upper end of the 95 % t interval.
        p_value: Two-sided p-value of the paired t test, Holm-corrected over the losses compared; NaN for one seed.
        verdict: ``better``, ``worse`` or ``not distinguishable`` at the corrected 5 % level.
    """

    mean: float
    low: float
    high: float
    p_value: float
    verdict: str


def spread(values: Sequence[float], *, level: float = 0.95) -> Spread:
    """Summarise a metric over seeds."""
    centre, half = mean(values), _half_width(values, level)
    std = stdev(values) if len(values) > 1 else float("nan")
    return Spread(centre, std, len(values), centre - half, centre + half)


def paired_differences(
    metric: dict[str, dict[int, float]], *, baseline: str, level: float = 0.95
) -> dict[str, Difference]:
    """Compare each loss with the baseline over the seeds that both have; lower is better.

    Args:
        metric: Value by loss and seed.
        baseline: The loss to compare with.
        level: Coverage of the interval; 1 - level is the size of the corrected test.

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
    corrected = holm({loss: _p_value(differences) for loss, differences in pairs.items()})
    result = {}
    for loss, differences in pairs.items():
        centre, half = mean(differences), _half_width(differences, level)
        verdict = "not distinguishable"
        if corrected[loss] < 1 - level:
            verdict = "better" if centre < 0 else "worse"
        result[loss] = Difference(centre, centre - half, centre + half, corrected[loss], verdict)
    return result


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Correct p-values for their number by Holm's step-down method; NaN stays NaN and does not count.

    Reference:
        Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    known = sorted((p, name) for name, p in p_values.items() if not isnan(p))
    corrected = dict.fromkeys(p_values, float("nan"))
    largest = 0.0
    for place, (p, name) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - place) * p))
        corrected[name] = largest
    return corrected


def _p_value(differences: Sequence[float]) -> float:
    if len(differences) < 2:
        return float("nan")
    deviation = stdev(differences)
    if deviation == 0.0:
        return 1.0 if mean(differences) == 0.0 else 0.0
    t = mean(differences) / (deviation / sqrt(len(differences)))
    return float(2 * require("scipy.stats", extra="report").t.sf(abs(t), len(differences) - 1))


def _half_width(values: Sequence[float], level: float) -> float:
    if len(values) < 2:
        return float("nan")
    t = require("scipy.stats", extra="report").t.ppf(0.5 + level / 2, len(values) - 1)
    return float(t * stdev(values) / sqrt(len(values)))
