# SPDX-License-Identifier: Apache-2.0
"""An estimate with its interval, and p-values of several."""

import math
from dataclasses import dataclass

from adafocal._tails import student_quantile


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
