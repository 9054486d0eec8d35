# SPDX-License-Identifier: Apache-2.0
"""The data of a reliability diagram; drawing it is the report's task."""

from dataclasses import dataclass, replace
from statistics import NormalDist

import torch

from adafocal._checks import check_number, check_same_shape, check_tensor
from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, CountPerBin, Given, PerBin, SampleWeight
from adafocal._values import checked_shares, weighted_event
from adafocal.calibration.band import simultaneous_band
from adafocal.calibration.bins import BinStats, at_least_one, check_stats
from adafocal.calibration.cells import sum_binned
from adafocal.errors import InvalidValueError


@dataclass(frozen=True, eq=False)
class ReliabilityData:
    """What a reliability diagram shows, per non-empty bin.

    Attributes:
        lower: Lower edge of each bin, excluded (the first bin holds 0), shape (b,).
        upper: Upper edge of each bin, included, shape (b,).
        count: Samples per bin, shape (b,); of weighted ones the sum of weights.
        confidence: Mean confidence per bin, a fraction, shape (b,).
        accuracy: Share of correct samples per bin, a fraction, shape (b,).
        accuracy_low: Lower end of the interval for the accuracy, shape (b,).
        accuracy_high: Upper end of the interval for the accuracy, shape (b,).
        band_low: Lower end of the band that holds the accuracy of all bins at once, shape (b,); None for none.
        band_high: Upper end of it.
    """

    lower: PerBin
    upper: PerBin
    count: CountPerBin
    confidence: PerBin
    accuracy: PerBin
    accuracy_low: PerBin
    accuracy_high: PerBin
    band_low: PerBin | None = None
    band_high: PerBin | None = None

    def without_intervals(self) -> "ReliabilityData":
        """The same with NaN for the ends, and no band: of rows that belong together, where they would be too narrow."""
        nothing = torch.full_like(self.accuracy, torch.nan)
        return replace(self, accuracy_low=nothing, accuracy_high=nothing, band_low=None, band_high=None)


@documented
def reliability_data(
    confidence: Given[Confidence],
    correct: Given[Correct],
    *,
    n_bins: int = 15,
    binning: str = "equal_width",
    level: float = 0.95,
    sample_weight: Given[SampleWeight] | None = None,
) -> ReliabilityData:
    """Compare accuracy with confidence per non-empty bin, with an interval for each accuracy.

    Args:
        n_bins: Number of bins; empty ones are left out of the result.
        level: Coverage of the interval, :func:`wilson_interval`, and of :func:`simultaneous_band`, in (0, 1).
        sample_weight: How much each sample counts, finite and >= 0, shape (N,); None: each counts once. Intervals take
            the effective number of samples, (sum w)^2 / sum w^2, also for whole weights.

    Returns:
        Arrays of shape (b,) with b at most ``n_bins``.

    Example:
        >>> data = reliability_data(torch.tensor([0.8, 0.8]), torch.tensor([True, False]), n_bins=2)
        >>> data.accuracy
        tensor([0.5000], dtype=torch.float64)
    """
    confidence, correct, weight = weighted_event(confidence, correct, sample_weight)
    stats = sum_binned(confidence, correct, n_bins=n_bins, binning=binning, weight=weight)
    return reliability_from_bins(stats, level=level)


def reliability_from_bins(stats: BinStats, *, level: float = 0.95) -> ReliabilityData:
    """Compute the data of the diagram from sums per bin, such as those of a stream.

    Args:
        stats: Sums per bin; empty bins are left out of the result.
        level: Coverage of the interval, :func:`wilson_interval`, and of :func:`simultaneous_band`, in (0, 1).

    Returns:
        Arrays of shape (b,), as :func:`reliability_data` gives them.

    Raises:
        ValueError: If ``level`` is out of range.

    Example:
        >>> from adafocal.calibration import bin_stats
        >>> stats = bin_stats(torch.tensor([0.8, 0.8]), torch.tensor([True, False]), torch.tensor([0.5]))
        >>> reliability_from_bins(stats).count
        tensor([2])
    """
    check_stats(stats)
    check_number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    outer = stats.edges.new_tensor([0.0, 1.0])
    lower = torch.cat([outer[:1], stats.edges])
    upper = torch.cat([stats.edges, outer[1:]])
    low, high = score_interval(stats.accuracy, stats.effective, level=level)
    band_low, band_high = simultaneous_band(stats, level=level)
    held = stats.count > 0
    return ReliabilityData(
        lower=lower[held],
        upper=upper[held],
        count=stats.count[held],
        confidence=stats.confidence[held],
        accuracy=stats.accuracy[held],
        accuracy_low=low[held],
        accuracy_high=high[held],
        band_low=band_low[held],
        band_high=band_high[held],
    )


@documented
def wilson_interval(share: Given[PerBin], count: Given[CountPerBin], *, level: float) -> tuple[PerBin, PerBin]:
    """Wilson score interval of a binomial share.

    Args:
        share: Observed shares, in [0, 1], shape (b,).
        count: Number of trials behind each share, shape (b,).
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper ends, in [0, 1], each of shape (b,); [0, 1] where there was no trial.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If shapes differ, a share is not in [0, 1], a count is negative, or ``level`` is out of range.

    Example:
        >>> low, high = wilson_interval(torch.tensor([0.5]), torch.tensor([10]), level=0.95)
        >>> low, high
        (tensor([0.2366]), tensor([0.7634]))

    Reference:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    check_number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    checked_shares(share, share, names=("share", "share"))
    check_tensor("count", count)
    check_same_shape("count", count, "share", share)
    if not bool((count >= 0).all()):
        raise InvalidValueError(f"`count` must be >= 0, got {count.min()}.")
    return score_interval(share, count, level=level)


def score_interval(share: PerBin, count: CountPerBin, *, level: float, z: float | None = None) -> tuple[PerBin, PerBin]:
    """Compute :func:`wilson_interval`, without its checks."""
    z = NormalDist().inv_cdf(0.5 + level / 2) if z is None else z
    n = at_least_one(count).to(share)  # as integers they would make 1 / n a float32
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)).clamp_min(0).sqrt()
    none = count == 0
    return (
        torch.where(none, 0.0, centre - half).clamp(0.0, 1.0),
        torch.where(none, 1.0, centre + half).clamp(0.0, 1.0),
    )
