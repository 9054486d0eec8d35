# SPDX-License-Identifier: Apache-2.0
"""Detection measures with intervals: variances of their own, and a stratified bootstrap for the precisions."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from adafocal._checks import check_integer, check_number
from adafocal._docs import documented
from adafocal._estimate import Estimate, joined_ends
from adafocal._measure import Measure
from adafocal._shapes import Confidence, Given, OtherConfidence
from adafocal._tails import binomial_interval, binomial_tails, student_quantile
from adafocal.errors import InvalidValueError
from adafocal.ood.detection import (
    ScoreCounts,
    aupr_of_counts,
    auroc_of_counts,
    cumulated,
    fpr_of_counts,
    score_counts,
    score_groups,
)

TPR = 0.95
FEWEST = 100  # samples of each kind for an interval of an AUPR; with fewer the simulated coverage falls below 90 %
PRIOR = 15  # samples that Hanley and McNeil's variance counts as, next to DeLong's
CHUNK = 2**18  # resampled counts held at a time: few enough to stay in the cache


@dataclass(frozen=True)
class Detection:
    """How well one score tells two sets of samples apart; out-of-distribution is the positive kind.

    Attributes:
        n_id: In-distribution samples.
        n_ood: Out-of-distribution samples.
        auroc: Area under the ROC curve; higher is better, 0.5 is a guess.
        aupr_out: Average precision for finding the out-of-distribution samples; higher is better.
        aupr_in: Average precision for finding the in-distribution samples; higher is better.
        fpr95: Share of in-distribution samples flagged where 95 % of the others are found; lower is better.
    """

    n_id: int
    n_ood: int
    auroc: Estimate
    aupr_out: Estimate
    aupr_in: Estimate
    fpr95: Estimate


_ENTRIES = (
    Measure(name="auroc", heading="AUROC %", unit="%", better="higher", interval="auroc"),
    Measure(name="aupr_out", heading="AUPR-out %", unit="%", better="higher", interval="aupr_out"),
    Measure(name="aupr_in", heading="AUPR-in %", unit="%", better="higher", interval="aupr_in"),
    Measure(name="fpr95", heading="FPR95 %", page_heading="FPR at 95 % TPR, %", unit="%", interval="fpr95"),
)
OF_DETECTION = {measure.name: measure for measure in _ENTRIES}


@documented
def detection(
    id_scores: Given[Confidence],
    ood_scores: Given[OtherConfidence],
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    generator: torch.Generator | None = None,
) -> Detection:
    """Measure detection by one score, with intervals.

    They hold for new samples of the same two kinds in the same numbers; their simulated coverage is in the
    documentation. The AUROC has the interval of :func:`auroc_interval`. That of FPR95 joins what is not known of the
    threshold (which order statistics of the out-of-distribution scores may be their true 5 % quantile, so that with
    fewer than 59 of them the upper end is 1) with the mid-p binomial interval at these ends. The AUPRs have logarithmic
    odds corrected for bias, with the standard error of a bootstrap that resamples each kind by itself; with fewer than
    100 samples of a kind, or perfect separation, no interval is known to hold, and none is given.

    Args:
        id_scores: Scores of N >= 2 in-distribution samples; higher means more out-of-distribution.
        ood_scores: Scores of M >= 2 out-of-distribution samples.
        level: Coverage of each interval, in (0, 1).
        n_resamples: Bootstrap resamples, at least 2.
        generator: Source of the resamples; by default one with seed 0, so that equal scores give equal intervals.

    Returns:
        Four estimates, fractions in [0, 1]; ``low`` and ``high`` are None where no interval is known to hold.

    Raises:
        TypeError: If scores are not floating point.
        ValueError: If there are fewer than two samples of a kind, a score is NaN, or an option is out of range.

    Example:
        >>> result = detection(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.25, 0.8, 0.9]))
        >>> round(result.auroc.value, 4), result.fpr95.value
        (0.8889, 0.3333333333333333)
    """
    check_integer("n_resamples", n_resamples, minimum=2)
    area = auroc_interval(id_scores, ood_scores, level=level)
    counts = score_counts(id_scores, ood_scores)
    n_id, n_ood = id_scores.numel(), ood_scores.numel()
    precisions = _precisions(counts)
    if min(n_id, n_ood) >= FEWEST and all(0 < float(value) < 1 for value in precisions):
        drawn = _resample(id_scores, ood_scores, n_resamples, generator or torch.Generator().manual_seed(0))
        pairs = zip(precisions, drawn, strict=True)
        out, into = (_odds_interval(float(value), draws, level, min(n_id, n_ood) - 1) for value, draws in pairs)
    else:
        out, into = (Estimate(float(value)) for value in precisions)
    return Detection(n_id, n_ood, auroc=area, aupr_out=out, aupr_in=into, fpr95=_fpr_interval(counts, level=level))


def _odds_interval(value: float, drawn: Tensor, level: float, df: int) -> Estimate:
    """Build the t interval on the scale of logarithmic odds, moved by the bias that resampling shows."""
    odds = math.log(value / (1 - value))
    bias = float(torch.logit(drawn, eps=1e-9).mean()) - odds  # a resample without a mistake has infinite odds
    half = student_quantile(0.5 + level / 2, df) * float(drawn.std()) / (value * (1 - value))
    low, high = _sigmoid(odds - bias - half), _sigmoid(odds - bias + half)
    return Estimate(value, min(low, value), max(high, value))


def _fpr_interval(counts: ScoreCounts, *, level: float) -> Estimate:
    """Join the order statistics that may be the true threshold with the binomial interval of the share above it."""
    found, flagged = counts.ood_above, counts.id_above
    n_ood, n_id = int(found[-1]), int(flagged[-1])
    value = float(fpr_of_counts(counts, tpr=TPR))
    k = torch.arange(n_ood + 1, dtype=torch.float64)
    few, many = binomial_tails(k, torch.full_like(k, n_ood), TPR)
    allowed = k[(few > (1 - level) / 2) & (many > (1 - level) / 2)]
    fewest, most = int(allowed[0]), int(allowed[-1])
    # With k found, the threshold is no higher than the k-th score and above the next.
    at, beyond = (int(torch.searchsorted(found, place)) for place in (max(1, fewest), most + 1))
    lowest = 0.0 if fewest == 0 else min(value, float(flagged[at]) / n_id)
    highest = 1.0 if most == n_ood else max(value, float(flagged[beyond] - counts.id_count[beyond]) / n_id)
    further = binomial_interval(lowest * n_id, n_id, level=level)[0]
    past = binomial_interval(highest * n_id, n_id, level=level)[1]
    low, high = joined_ends(value, (lowest, further), (highest, past))
    return Estimate(value, max(0.0, low), min(1.0, high))


@documented
def auroc_interval(
    id_scores: Given[Confidence], ood_scores: Given[OtherConfidence], *, level: float = 0.95
) -> Estimate:
    """Estimate the AUROC with an interval that holds where few samples stand against many.

    It inverts the score test ``|AUROC - t| = quantile · deviation(t)``. DeLong's variance of each kind hangs on that
    kind's samples alone: of 20 good ones it is far too small. So it is scaled to t, and averaged with the variance that
    Hanley and McNeil derived, as if that came from 15 samples more, but never made smaller; the quantile is that of the
    t distribution (Satterthwaite). Where DeLong's variance is 0 (perfect separation, or all scores equal) Hanley and
    McNeil's alone is left, which is Newcombe's interval.

    Args:
        id_scores: Scores of N >= 2 in-distribution samples.
        ood_scores: Scores of M >= 2 out-of-distribution samples.
        level: Coverage, in (0, 1).

    Returns:
        The estimate, within [0, 1].

    Raises:
        TypeError: If scores are not floating point.
        ValueError: If there are fewer than two samples of a kind, a score is NaN, or ``level`` is out of range.

    Example:
        >>> estimate = auroc_interval(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.25, 0.8, 0.9]))
        >>> round(estimate.low, 3), round(estimate.high, 3)
        (0.27, 0.994)

    Reference:
        DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
        characteristic curves: a nonparametric approach", Biometrics 1988. Newcombe, "Confidence intervals for an
        effect size measure based on the Mann-Whitney statistic, part 2", Statistics in Medicine 2006, method 5.
    """
    check_number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    id_group, ood_group, _ = score_groups(id_scores, ood_scores)
    for name, group in (("id_scores", id_group), ("ood_scores", ood_group)):
        if group.numel() < 2:
            raise InvalidValueError(f"`{name}` must hold at least 2 samples for an interval, got {group.numel()}.")
    counts = score_counts(id_scores, ood_scores)
    area = float(auroc_of_counts(counts))
    # How often each sample is on the right side of a random sample of the other kind.
    of_id = ((counts.ood_above - 0.5 * counts.ood_count) / ood_group.numel())[id_group]
    of_ood = (1 - (counts.id_above - 0.5 * counts.id_count) / id_group.numel())[ood_group]
    kinds = [(float(of.var()), of.numel()) for of in (of_id, of_ood)]
    variance = sum(square / n for square, n in kinds)
    if variance <= 0:  # at 0 and 1, too, where no sample differs from the others
        z = NormalDist().inv_cdf(0.5 + level / 2)
        return Estimate(area, *_inverted(area, z, lambda t: _newcombe_variance(t, kinds[0][1], kinds[1][1])))
    df = variance**2 / sum((square / n) ** 2 / (n - 1) for square, n in kinds)

    def variance_at(t: float) -> float:
        scale = _one_pair(t) / _one_pair(area)
        return sum(_shrunk(square * scale, _one_pair(t) * _shared(t), n) / n for square, n in kinds)

    return Estimate(area, *_inverted(area, student_quantile(0.5 + level / 2, df), variance_at))


def _newcombe_variance(t: float, n_id: int, n_ood: int) -> float:
    return _one_pair(t) * (1 + (n_id + n_ood - 2) * _shared(t)) / (n_id * n_ood)


def _shrunk(own: float, model: float, n: int) -> float:
    """Average a variance from n samples with that of the model, which counts as ``PRIOR`` samples; never smaller."""
    return max(own, (n * own + PRIOR * model) / (n + PRIOR))


def _one_pair(t: float) -> float:
    """Compute the variance of one comparison at AUROC t."""
    return t * (1 - t)


def _shared(t: float) -> float:
    """Measure how much of it two comparisons with a common sample share, the mean of both kinds (Hanley, McNeil)."""
    return 0.5 * ((1 - t) / (2 - t) + t / (1 + t))


def _inverted(area: float, quantile: float, variance_at: Callable[[float], float]) -> tuple[float, float]:
    """Solve |area - t| = quantile · deviation(t) for t on either side of ``area`` by halving."""
    ends = []
    for outer in (0.0, 1.0):
        inside, outside = area, outer
        for _ in range(60):  # beyond the 53 bits of a float64
            middle = 0.5 * (inside + outside)
            beyond = abs(area - middle) > quantile * math.sqrt(max(0.0, variance_at(middle)))
            inside, outside = (inside, middle) if beyond else (middle, outside)
        ends.append(0.5 * (inside + outside))
    return ends[0], ends[1]


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(0.5 * x))


def _precisions(counts: ScoreCounts) -> tuple[Tensor, Tensor]:
    return aupr_of_counts(counts, positive="ood"), aupr_of_counts(counts, positive="id")


def _resample(
    id_scores: Confidence, ood_scores: OtherConfidence, n_resamples: int, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Measure both precisions on each resample, shape (B,) each; draws are counts per score, sorted once."""
    id_group, ood_group, n_groups = score_groups(id_scores, ood_scores)
    rows = max(1, CHUNK // n_groups)
    parts = []
    for start in range(0, n_resamples, rows):
        n = min(rows, n_resamples - start)
        drawn = (_draw(group, n_groups, n, generator) for group in (id_group, ood_group))
        parts.append(_precisions(cumulated(*drawn)))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _draw(group: Tensor, n_groups: int, n_resamples: int, generator: torch.Generator) -> Tensor:
    picked = torch.randint(group.numel(), (n_resamples, group.numel()), generator=generator).to(group.device)
    # One count over all resamples at once: each has its own stretch of n_groups cells.
    stretch = torch.arange(n_resamples, device=group.device)[:, None] * n_groups
    cells = torch.bincount((group[picked] + stretch).flatten(), minlength=n_resamples * n_groups)
    return cells.view(n_resamples, n_groups)
