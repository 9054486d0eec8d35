# SPDX-License-Identifier: Apache-2.0
"""A band around the points of a reliability diagram that holds all of the true ones at once."""

import torch

from adafocal._checks import check_number
from adafocal._shapes import PerBin
from adafocal._tails import exact_interval
from adafocal.calibration.bins import BinStats, check_stats


def simultaneous_band(stats: BinStats, *, level: float = 0.95) -> tuple[PerBin, PerBin]:
    """Bound the accuracy in all bins of a reliability diagram at once.

    Use it to say that a diagram leaves the diagonal somewhere: a bin whose mean confidence is outside the band is
    miscalibrated, and a calibrated model has one such bin in at most ``1 - level`` of all data sets. Intervals of
    single bins, such as those of :func:`reliability_data`, are narrower, and one of 15 of them often misses by chance.

    What it covers: the expected accuracy of the samples in each bin that holds some, for independent samples, with
    edges that do not depend on the labels. Each bin has the interval of Clopper and Pearson at the level
    ``level ** (1 / b)`` for b bins that hold samples, by Šidák: given the confidences, bins are independent. Sums of
    parts of the data merge, so it streams.

    Args:
        stats: Sums per bin. Of weighted samples the effective number per bin, (sum w)^2 / sum w^2, takes the place of
            their number, also for whole weights.
        level: Chance that the band holds all bins, in (0, 1).

    Returns:
        Lower and upper ends, fractions in [0, 1], float64, each of shape (n_bins,); [0, 1] where a bin is empty.

    Raises:
        TypeError: If ``stats`` is no :class:`BinStats`.
        ValueError: If ``level`` is out of range, or ``stats`` are no sums of events.

    Example:
        >>> from adafocal.calibration import bin_stats
        >>> stats = bin_stats(torch.full((100,), 0.9), torch.arange(100) < 70, torch.tensor([0.5]))
        >>> low, high = simultaneous_band(stats)
        >>> low[1], high[1]
        (tensor(0.6002, dtype=torch.float64), tensor(0.7876, dtype=torch.float64))

    Reference:
        Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
        Biometrika 26, 1934. Šidák, "Rectangular confidence regions for the means of multivariate normal distributions",
        JASA 62, 1967.
    """
    check_stats(stats)
    check_number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    held = stats.count > 0
    n = torch.where(held, stats.effective, 1).to(stats.correct_sum)
    of_one = level ** (1 / max(1, int(held.sum())))
    low, high = exact_interval(n * stats.accuracy.clamp(0, 1), n, tail=(1 - of_one) / 2)
    return torch.where(held, low, 0.0), torch.where(held, high, 1.0)
