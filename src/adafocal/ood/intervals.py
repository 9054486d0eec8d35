# SPDX-License-Identifier: Apache-2.0
"""Detection measures with intervals: DeLong for the AUROC, a stratified bootstrap for the others."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from adafocal._checks import check_integer, check_number
from adafocal._estimate import Estimate, percentile_estimate
from adafocal._shapes import Confidence, OtherConfidence
from adafocal.calibration.reliability import wilson_interval
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


def detection(
    id_scores: Confidence,
    ood_scores: OtherConfidence,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    generator: torch.Generator | None = None,
) -> Detection:
    """Measure detection by one score, with intervals.

    The AUROC has the interval of :func:`auroc_interval`. The others have percentile intervals of a bootstrap that
    resamples each kind of sample by itself, which hold for new samples of the same two kinds in the same numbers. The
    one of FPR95 is widened to the Wilson interval at the threshold found, since resampling cannot see beyond a share of
    0. Where the scores separate the kinds perfectly, the AUPR intervals shrink to the point 1.

    Args:
        id_scores: Scores of N >= 2 in-distribution samples; higher means more out-of-distribution.
        ood_scores: Scores of M >= 2 out-of-distribution samples.
        level: Coverage of each interval, in (0, 1).
        n_resamples: Bootstrap resamples.
        generator: Source of the resamples; by default one with seed 0, so that equal scores give equal intervals.

    Returns:
        Four estimates, fractions in [0, 1].

    Raises:
        TypeError: If scores are not floating point.
        ValueError: If there are fewer than two samples of a kind, a score is NaN, or an option is out of range.

    Example:
        >>> result = detection(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.25, 0.8, 0.9]))
        >>> round(result.auroc.value, 4), result.fpr95.value
        (0.8889, 0.3333333333333333)
    """
    check_integer("n_resamples", n_resamples, minimum=1)
    area = auroc_interval(id_scores, ood_scores, level=level)
    counts = score_counts(id_scores, ood_scores)
    resampled = _resample(id_scores, ood_scores, n_resamples, generator or torch.Generator().manual_seed(0))
    values = _measures(counts)
    out, into, fpr = (
        percentile_estimate(value, draws, level=level) for value, draws in zip(values, resampled, strict=True)
    )
    n_id = id_scores.numel()
    low, high = wilson_interval(values[2][None], torch.tensor([n_id], device=values[2].device), level=level)
    fpr = Estimate(fpr.value, min(fpr.low, float(low)), max(fpr.high, float(high)))
    return Detection(n_id, ood_scores.numel(), auroc=area, aupr_out=out, aupr_in=into, fpr95=fpr)


def auroc_interval(id_scores: Confidence, ood_scores: OtherConfidence, *, level: float = 0.95) -> Estimate:
    """Give the AUROC with DeLong's interval, on the logit scale so that it stays within [0, 1].

    Where DeLong's variance is zero (perfect separation, or all scores equal) it says nothing; there the interval
    is Newcombe's score interval, which inverts the variance that Hanley and McNeil derived.

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
        (0.261, 0.995)

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
    variance = float(of_id.var() / id_group.numel() + of_ood.var() / ood_group.numel())
    z = NormalDist().inv_cdf(0.5 + level / 2)
    if variance <= 0 or area in (0.0, 1.0):
        return Estimate(area, *_newcombe_interval(area, id_group.numel(), ood_group.numel(), z))
    half = z * math.sqrt(variance) / (area * (1 - area))
    centre = math.log(area / (1 - area))
    return Estimate(area, _sigmoid(centre - half), _sigmoid(centre + half))


def _newcombe_interval(area: float, n_id: int, n_ood: int, z: float) -> tuple[float, float]:
    """Solve |area - t| = z sd(t) for t on either side of ``area`` by halving."""

    def excess(t: float) -> float:
        mean_n = (n_id + n_ood) / 2 - 1
        variance = t * (1 - t) * (1 + mean_n * ((1 - t) / (2 - t) + t / (1 + t))) / (n_id * n_ood)
        return abs(area - t) - z * math.sqrt(max(0.0, variance))

    ends = []
    for outer in (0.0, 1.0):
        inside, outside = area, outer
        for _ in range(60):
            middle = 0.5 * (inside + outside)
            inside, outside = (inside, middle) if excess(middle) > 0 else (middle, outside)
        ends.append(0.5 * (inside + outside))
    return ends[0], ends[1]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _measures(counts: ScoreCounts) -> tuple[Tensor, Tensor, Tensor]:
    return (
        aupr_of_counts(counts, positive="ood"),
        aupr_of_counts(counts, positive="id"),
        fpr_of_counts(counts, tpr=TPR),
    )


def _resample(
    id_scores: Confidence, ood_scores: OtherConfidence, n_resamples: int, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Give the three measures on each resample, shape (B,) each; draws are counts per score, sorted once."""
    id_group, ood_group, n_groups = score_groups(id_scores, ood_scores)
    rows = max(1, CHUNK // n_groups)
    parts = []
    for start in range(0, n_resamples, rows):
        n = min(rows, n_resamples - start)
        drawn = (_draw(group, n_groups, n, generator) for group in (id_group, ood_group))
        parts.append(_measures(cumulated(*drawn)))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _draw(group: Tensor, n_groups: int, n_resamples: int, generator: torch.Generator) -> Tensor:
    picked = torch.randint(group.numel(), (n_resamples, group.numel()), generator=generator).to(group.device)
    # One count over all resamples at once: each has its own stretch of n_groups cells.
    stretch = torch.arange(n_resamples, device=group.device)[:, None] * n_groups
    cells = torch.bincount((group[picked] + stretch).flatten(), minlength=n_resamples * n_groups)
    return cells.view(n_resamples, n_groups)
