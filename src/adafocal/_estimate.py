# SPDX-License-Identifier: Apache-2.0
"""An estimate with its interval, and p-values of several."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from adafocal._tails import student_quantile

FEWEST_CASES = 3  # whose values say how far they spread, and to which side


@dataclass(frozen=True)
class Estimate:
    """A number with an interval.

    Attributes:
        value: The estimate.
        low: Lower end of the interval; None where none is known to hold.
        high: Upper end of the interval; None likewise.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """Name the three numbers, as they go into JSON files."""
        return {"value": self.value, "low": self.low, "high": self.high}


def log_interval(value: float, error: float, *, level: float, df: float) -> tuple[float, float]:
    """Build the t interval of a positive number on the logarithmic scale."""
    # Cut where exp would overflow: such an interval says nothing long before.
    factor = math.exp(min(student_quantile(0.5 + level / 2, df) * error / value, 500.0))
    return value / factor, value * factor


def joined_ends(value: float, *steps: tuple[float, float]) -> tuple[float, float]:
    """Join intervals of independent causes around one value: their distances add as squares (MOVER).

    Each step is where the value would lie at the end of one cause, and where the next cause then puts the end.

    Reference:
        Donner and Zou, "Closed-form confidence intervals for functions of the normal mean and standard deviation",
        Statistical Methods in Medical Research 21, 2012.
    """
    (first, further), (upper, beyond) = steps
    low = value - math.hypot(value - first, first - further)
    return low, value + math.hypot(upper - value, beyond - upper)


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Correct p-values for their number by Holm's step-down method; NaN stays NaN and does not count.

    Reference:
        Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    known = sorted((p, name) for name, p in p_values.items() if not math.isnan(p))
    corrected = dict.fromkeys(p_values, float("nan"))
    largest = 0.0
    for place, (p, name) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - place) * p))
        corrected[name] = largest
    return corrected


def mean_over_cases(
    values: Sequence[float], *, level: float = 0.95, low: float = -math.inf, high: float = math.inf
) -> Estimate:
    """Average what was measured of each case, with an interval of the mean over cases that were not seen.

    The t interval of the values that are not NaN. Where they are skewed, the end on their long side is moved out by the
    term of Johnson's modified t, ``skewness s (1 + 2 t^2) / (6 n)``, so that the interval is never narrower than the t
    interval. ``benchmarks/case_intervals.py`` simulates what it covers.

    Args:
        values: One number per case; NaN where a case has none.
        level: Coverage, in (0, 1).
        low: The smallest value there can be, which the lower end is not below.
        high: The largest one likewise.

    Returns:
        The mean, NaN without values; without ends where there are fewer than ``FEWEST_CASES``.

    Reference:
        Johnson, "Modified t tests and confidence intervals for asymmetrical populations", Journal of the American
        Statistical Association 73, 1978. Both ends in place of the moved centre are ours.
    """
    known = [value for value in values if not math.isnan(value)]
    n = len(known)
    mean = math.fsum(known) / n if n else math.nan
    if n < FEWEST_CASES or not math.isfinite(mean):
        return Estimate(mean)
    gaps = [value - mean for value in known]
    second, third = (math.fsum(gap**power for gap in gaps) / n for power in (2, 3))
    t, spread = student_quantile(0.5 + level / 2, n - 1), math.sqrt(second * n / (n - 1))
    skewness = third / second**1.5 * math.sqrt(n * (n - 1)) / (n - 2) if second > 0 else 0.0
    half, moved = t * spread / math.sqrt(n), skewness * spread * (1 + 2 * t * t) / (6 * n)
    return Estimate(mean, max(low, mean - half + min(moved, 0.0)), min(high, mean + half + max(moved, 0.0)))
