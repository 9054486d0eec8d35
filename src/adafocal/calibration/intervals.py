# SPDX-License-Identifier: Apache-2.0
"""Intervals whose coverage was simulated.

Only what held in the simulation is offered: see docs/measuring.md. There is no interval for the ``l1`` error: its
sampling distribution near 0 depends on how the gaps are spread over the bins, which the data cannot tell.
"""

from collections.abc import Callable
from functools import partial
from statistics import NormalDist

import torch
from torch import Tensor

from adafocal._checks import check_number
from adafocal._docs import documented
from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, Correct, Given, SampleWeight, Scalar
from adafocal._tails import gamma_cdf
from adafocal._values import check_not_empty, weighted_event
from adafocal.calibration.bins import BinStats, check_stats, debiased_square
from adafocal.calibration.cells import sum_binned
from adafocal.calibration.consistency import resampled_p_value

N_RESAMPLES = 999
GRID = 33
SEARCHES = 4
RAMP = 3.0
LARGEST_SCALE = 2.0  # reaches an error of 1 even where some gaps are cut off at accuracy 0 or 1
FEWEST = 2 - 1e-9  # samples whose distances to their mean say how far they spread
SMALLEST_SD = 1e-12  # keeps certain bins from dividing 0 by 0


@documented
def rms_calibration_interval(
    confidence: Given[Confidence],
    correct: Given[Correct],
    *,
    n_bins: int = 15,
    level: float = 0.95,
    sample_weight: Given[SampleWeight] | None = None,
) -> tuple[Scalar, Scalar]:
    """Estimate the root mean square calibration error of the model by a confidence interval.

    What it covers: sqrt(E[(E[confidence - correct | bin])^2]) over new samples, with the equal-mass bins of these
    confidences: the ``l2`` calibration error of the event that ``correct`` records. It equals the error without bins
    where the gap does not vary within a bin, and is below it otherwise; with 15 bins and a smooth gap the difference is
    small against the interval. Its lower end is above 0 only if drawn labels reject calibration, much as in
    :func:`calibration_test`. Its upper end also bounds the ``l1`` error in the same bins, which is never larger.

    Method: the interval holds every error that a test at level ``1 - level`` does not reject. The test statistic is the
    debiased square, see :func:`expected_calibration_error`; its law under an error is that of labels drawn with
    accuracy ``confidence - gap`` per bin, the gaps being the observed ones scaled to the error: a gamma distribution
    with the exact mean, variance and skewness. Near 0 all of the test lies in the upper tail, so that the interval is
    never empty; the lower tail takes its half once the square exceeds three standard deviations of its noise. The
    interval holds the debiased estimate.

    Args:
        correct: Whether the event happened, yes or no, shape (N,). Samples must be independent.
        n_bins: Number of equal-mass bins.
        sample_weight: How much each sample counts, finite and >= 0, shape (N,); None: each counts once. The ends take
            the effective number of samples, (sum w)^2 / sum w^2, also for whole weights.

    Returns:
        Lower and upper end, fractions in [0, 1], float64. [0, 1] where no bin holds two samples.

    Example:
        >>> confidence = torch.linspace(0.5, 1.0, 1000)
        >>> low, high = rms_calibration_interval(confidence, torch.arange(1000) % 2 == 0)
        >>> low, high
        (tensor(0.2508, dtype=torch.float64), tensor(0.3154, dtype=torch.float64))

    Reference:
        Kumar, Liang and Ma, "Verified uncertainty calibration", NeurIPS 2019, https://arxiv.org/abs/1909.10155 (the
        debiased square). Sun, Chaudhari, Barnett and Dobriban, "A confidence interval for the l2 expected calibration
        error", 2024, https://arxiv.org/abs/2408.08998 (an interval from its normal limit). Chuang and Lai, "Hybrid
        resampling methods for confidence intervals", Statistica Sinica 10, 2000 (inverting a test along a family
        through the estimate). Feldman and Cousins, "Unified approach to the classical statistical analysis of small
        signals", Physical Review D 57, 1998, https://arxiv.org/abs/physics/9711021 (one and two tails in one interval).

    Differs from the paper: the combination is ours; its coverage is simulated in docs/measuring.md, not proved.
    """
    confidence, correct, weight = weighted_event(confidence, correct, sample_weight, yes_or_no=True)
    stats = sum_binned(confidence, correct, n_bins=n_bins, binning="equal_mass", weight=weight)
    return rms_interval(stats, level=level)


def rms_interval_from_bins(stats: BinStats, *, level: float = 0.95) -> tuple[Scalar, Scalar]:
    """Compute :func:`rms_calibration_interval` from sums per bin, such as those of a stream.

    Args:
        stats: Sums over bins of about equal mass; bins of fewer than two samples count nothing.
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper end, fractions in [0, 1], float64. [0, 1] where no bin holds two samples.

    Raises:
        ValueError: If ``level`` is out of range.

    Example:
        >>> from adafocal.calibration import bin_stats
        >>> stats = bin_stats(torch.full((100,), 0.8), torch.arange(100) < 80, torch.tensor([0.5]))
        >>> rms_interval_from_bins(stats)
        (tensor(0., dtype=torch.float64), tensor(0.1139, dtype=torch.float64))
    """
    check_stats(stats)
    return rms_interval(stats, level=level)


def rms_interval(stats: BinStats, *, level: float) -> tuple[Scalar, Scalar]:
    """Search the ends of :func:`rms_interval_from_bins`, whose checks have been done."""
    check_number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    held = stats.effective > 1
    count, confidence, gap = stats.effective[held], stats.confidence[held], stats.gap[held]
    if count.numel() == 0:
        return stats.confidence_sum.new_tensor(0.0), stats.confidence_sum.new_tensor(1.0)
    weight = stats.count[held].to(gap) / stats.count[held].sum()
    sums = (stats.count[:, None], stats.confidence_sum[:, None], stats.correct_sum[:, None])
    squares = None if stats.square_sum is None else stats.square_sum[:, None]
    observed = debiased_square(stats.accuracy[held], confidence, stats.count[held], count)
    size = (weight * gap.square()).sum().sqrt()
    along = torch.where(size > 0, gap / size, 1.0)
    law = partial(_law, confidence=confidence, count=count, weight=weight)
    noise = law(gap.new_zeros(1), along)[1]

    def too_small(scale: Tensor) -> Tensor:
        square, sd, skewness = law(scale, along)
        above = 1 - gamma_cdf((observed - square) / sd, skewness)
        return (observed > square) & (above < 1 - level - _lower_tail(square, noise, level))

    def highest(direction: Tensor) -> Tensor:
        def not_too_large(scale: Tensor) -> Tensor:
            square, sd, skewness = law(scale, direction)
            below = gamma_cdf((observed - square) / sd, skewness)
            return (observed >= square) | (below >= _lower_tail(square, noise, level))

        return law(_last(not_too_large, gap)[None], direction)[0]

    low, high = law(_last(too_small, gap)[None], along)[0], highest(along)
    # Where few mistakes are expected no smooth law fits: 0 is left out only if drawn labels say so, too.
    if low > 0 and resampled_p_value(*sums, squares, n_resamples=N_RESAMPLES) > 1 - level:
        low = torch.zeros_like(low)
    # Where chance alone explains the gaps, they may as well have the other sign: near confidence 1 only that has room.
    if low == 0:
        high = torch.maximum(high, highest(-along))
    return low[0].sqrt(), high[0].sqrt()


def _lower_tail(square: Tensor, noise: Tensor, level: float) -> Tensor:
    """Share of the test that lies in the lower tail: none at 0, half once the square stands out of noise."""
    return (1 - level) / 2 * (square / (RAMP * noise)).clamp_max(1)


def _law(
    scale: Tensor, direction: Tensor, confidence: Tensor, count: Tensor, weight: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, standard deviation and skewness of the debiased square where the gaps are ``scale * direction``.

    The observed accuracy of a bin is truth - e with e the centred mean of n yes-or-no labels, so the bin's debiased
    square is gap^2 + linear e + square (e^2 - E[e^2]), and its moments follow from the first six of e.
    """
    truth = (confidence - scale[:, None] * direction).clamp(0, 1)
    gap = confidence - truth
    n = count.to(gap)
    weight = n / count.sum() if weight is None else weight
    m2, m3, m4, m5, m6 = _central_moments(truth, n)
    linear, square = 2 * gap + (1 - 2 * truth) / (n - 1), n / (n - 1)
    spread = m4 - m2.square()
    variance = linear.square() * m2 + 2 * linear * square * m3 + square.square() * spread
    third = (
        linear.pow(3) * m3
        + 3 * linear.square() * square * spread
        + 3 * linear * square.square() * (m5 - 2 * m2 * m3)
        + square.pow(3) * (m6 - 3 * m4 * m2 + 2 * m2.pow(3))
    )
    mean = (weight * gap.square()).sum(dim=1)
    # The confidences are a sample too: the share of each bin's gap in the whole varies.
    of_confidences = (weight * (gap.square() - mean[:, None]).square()).sum(dim=1) / n.sum()
    sd = ((weight.square() * variance).sum(dim=1) + of_confidences).sqrt().clamp_min(SMALLEST_SD)
    return mean, sd, (weight.pow(3) * third).sum(dim=1) / sd.pow(3)


def _central_moments(truth: Tensor, n: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Central moments 2 to 6 of truth minus the mean of n labels that are 1 with probability truth."""
    v = truth * (1 - truth)
    k2 = v / n
    k3 = -v * (1 - 2 * truth) / n**2
    k4 = v * (1 - 6 * v) / n**3
    k5 = -v * (1 - 2 * truth) * (1 - 12 * v) / n**4
    k6 = v * (1 - 30 * v + 120 * v.square()) / n**5
    m6 = k6 + 15 * k4 * k2 + 10 * k3.square() + 15 * k2.pow(3)
    return k2, k3, k4 + 3 * k2.square(), k5 + 10 * k3 * k2, m6


def _last(holds: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Find the last scale at which a condition holds that stays failed once it fails; 0 if it never holds."""
    steps = torch.linspace(0, 1, GRID, dtype=like.dtype, device=like.device)
    places = torch.arange(GRID, device=like.device)
    low, high = like.new_tensor(0.0), like.new_tensor(LARGEST_SCALE)
    for _ in range(SEARCHES):
        scale = low + (high - low) * steps
        last = (holds(scale) * places).amax()
        low, high = scale[last], scale[(last + 1).clamp_max(GRID - 1)]
    return low


@documented
def overconfidence_interval(
    confidence: Given[Confidence],
    correct: Given[Correct],
    *,
    level: float = 0.95,
    sample_weight: Given[SampleWeight] | None = None,
) -> tuple[Scalar, Scalar]:
    """Estimate mean confidence minus accuracy by a confidence interval.

    What it covers: E[confidence - correct] over new samples, see :func:`overconfidence`. By the central limit theorem;
    it needs some tens of samples of each outcome.

    Args:
        confidence: Predicted probability of the event, in [0, 1], shape (N,), N at least 2 for a finite interval.
        correct: Whether the event happened, shape (N,). Samples must be independent.
        sample_weight: How much each sample counts, finite and >= 0, shape (N,); None: each counts once. The ends take
            the effective number of samples, (sum w)^2 / sum w^2, also for whole weights.

    Returns:
        Lower and upper end, fractions in [-1, 1], float64. [-1, 1] for a single sample, or effectively less than two.

    Example:
        >>> overconfidence_interval(torch.full((100,), 0.8), torch.arange(100) < 70)
        (tensor(0.0097, dtype=torch.float64), tensor(0.1903, dtype=torch.float64))

    Reference:
        Student, "The probable error of a mean", Biometrika 6(1), 1908; with the normal quantile.
    """
    check_number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    confidence, correct, weight = weighted_event(confidence, correct, sample_weight)
    check_not_empty("confidence", confidence)
    wide = wide_dtype(confidence.device)
    gap = confidence.to(wide) - correct.to(wide)
    if weight is None:
        return mean_interval(gap.mean(), (gap - gap.mean()).square().sum(), len(gap), level=level)
    share = weight.to(wide) / weight.to(wide).sum()
    mean, n = (share * gap).sum(), float(1 / share.square().sum())
    return mean_interval(mean, (n * share * (gap - mean)).square().sum(), n, level=level)


def mean_interval(mean: Tensor, squares: Tensor, n: float, *, level: float) -> tuple[Scalar, Scalar]:
    """Bound the mean of n gaps in [-1, 1], from their summed squared distance to it; of weights n is effective."""
    if n < FEWEST:  # one sample, or weights of which one is most of all: its distance to the mean says nothing
        return mean.new_tensor(-1.0), mean.new_tensor(1.0)
    half = NormalDist().inv_cdf(0.5 + level / 2) * (squares / (n - 1) / n).sqrt()
    return (mean - half).clamp_min(-1), (mean + half).clamp_max(1)
