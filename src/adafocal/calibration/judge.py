# SPDX-License-Identifier: Apache-2.0
"""Decides the verdict from sums.

Two tests are made of the hypothesis that the model is calibrated, each at half the level, so that together they claim
too much of a calibrated model with a probability of at most ``LEVEL``. One is of the mean gap: were the model
calibrated, the number of right answers would be a sum of draws with its own confidences. The other is of the gaps per
bin, :func:`calibration_test`.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from adafocal._estimate import holm
from adafocal._tails import gamma_cdf, gamma_quantile, student_p_value, student_quantile
from adafocal.calibration.bins import BinStats, at_least_one
from adafocal.calibration.cells import upper_edges
from adafocal.calibration.clusters import ClusterSums
from adafocal.calibration.consistency import P_CALIBRATED
from adafocal.calibration.errors import RMS_DEBIASED
from adafocal.calibration.scores import OVERCONFIDENCE
from adafocal.calibration.sums import PredictionSums
from adafocal.calibration.verdict import CALIBRATED, MIXED, OVER, TOO_FEW, UNDER, Range, Verdict

LEVEL = 0.05
STATED_GAP = 0.05  # too few samples: even so much over-confidence would be missed more often than found
MINOR = 0.25  # both signs are named where the lesser one's gaps are at least so much of the other's
EVEN = math.log(2.0)  # of so many expected events at least one happens with an even chance


def judge(sums: PredictionSums, values: Mapping[str, Any]) -> Verdict:
    """Judge sums of at least one sample.

    Args:
        sums: The sums.
        values: What the catalogue computed of them: over-confidence and RMS error with their intervals, the p-value.
    """
    square, error = float(sums.mean.square_of_gap), float(values[RMS_DEBIASED.name])
    cost = min(error**2, square)
    p_gap, detectable = mean_gap_test(sums)
    verdict = Verdict(
        kind=CALIBRATED,
        gap=values[OVERCONFIDENCE.name],
        gap_interval=values[OVERCONFIDENCE.interval],
        error=error,
        error_interval=values[RMS_DEBIASED.interval],
        p_gap=p_gap,
        p_bins=values[P_CALIBRATED.name],
        detectable=detectable,
        cost=cost,
        cost_share=cost / square if square > 0 else 0.0,
    )
    if verdict.p > LEVEL:
        return _unclaimed(verdict)
    direction = OVER if verdict.gap > 0 else UNDER
    if sums.clusters is not None:  # single bins are not judged: how far theirs scatter is not known
        return replace(verdict, kind=direction)
    over, under, minor = sides(sums)
    alone = int((sums.equal_mass.count > 0).sum()) == 1
    one_sided = minor < MINOR and (alone or 2 * p_gap <= LEVEL)
    return replace(verdict, kind=direction if one_sided else MIXED, over=over, under=under)


def corrected(verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """Hold the level over several verdicts together: what :func:`holm` does not reject is claimed no more."""
    together = holm({name: verdict.p for name, verdict in verdicts.items()})
    kept = {name: replace(verdict, n_judged=len(verdicts)) for name, verdict in verdicts.items()}
    return {name: one if together[name] <= LEVEL else _unclaimed(one) for name, one in kept.items()}


def _unclaimed(verdict: Verdict) -> Verdict:
    """The verdict where no test rejects: that of the power."""
    few = verdict.detectable > STATED_GAP
    return replace(verdict, kind=TOO_FEW if few else CALIBRATED, over=(), under=())


def mean_gap_test(sums: PredictionSums) -> tuple[float, float]:
    """Test the mean gap, and say from what over-confidence on the test finds it with an even chance.

    The law of the number of right answers, a sum of draws with unequal chances, is taken to be a gamma law of the same
    mean, variance and skewness: that of rare mistakes as of many. Weights enter by their squares. Where rows belong to
    clusters, the larger p-value counts of this test and of the clusters' own.

    Returns:
        The p-value, two-sided, and the smallest mean over-confidence, a fraction.
    """
    spread, skewness, unit = _law_of_right(sums.cells)
    shortfall = float(sums.gap) * float(sums.mass)
    if spread == 0.0:  # every confidence is 0 or 1
        p, surplus = float(abs(shortfall) <= unit * 1e-6), EVEN * unit
    else:
        # With a step of half a draw towards the middle, as for any count.
        ends = torch.tensor([0.5 * unit - shortfall, -0.5 * unit - shortfall], dtype=torch.float64) / spread
        few, many = gamma_cdf(ends, torch.full_like(ends, skewness)).tolist()
        p = min(1.0, 2 * min(few, 1 - many))
        surplus = max(gamma_quantile(1 - LEVEL / 4, -skewness) * spread + 0.5 * unit, EVEN * unit)
    detectable = surplus / float(sums.mass)
    if sums.clusters is None:
        return p, detectable
    p_clusters, least = _of_clusters(sums.clusters)
    return max(p, p_clusters), max(detectable, least)


def _law_of_right(cells: BinStats) -> tuple[float, float, float]:
    """Standard deviation and skewness of the weighted number of right answers, and what one answer counts for."""
    mass = variance = third = square = 0.0
    for some in cells.pieces():
        count, chance = some.count.to(some.confidence_sum), some.confidence.clamp(0, 1)
        squares = count if some.square_sum is None else some.square_sum
        of_one = chance * (1 - chance)
        mass, square = mass + float(count.sum()), square + float(squares.sum())
        variance += float((squares * of_one).sum())
        third += float((squares.square() / at_least_one(count) * of_one * (1 - 2 * chance)).sum())
    unit = square / mass
    return math.sqrt(variance), third / variance**1.5 if variance > 0 else 0.0, unit


def _of_clusters(clusters: ClusterSums) -> tuple[float, float]:
    if clusters.n < 2:
        return 1.0, math.inf
    mean, error = float(clusters.sums[:, 2].sum() / clusters.sums[:, 0].sum()), math.sqrt(float(clusters.variance(2)))
    if error == 0.0:
        return float(mean == 0.0), 0.0
    # Without a test per bin the whole level is the mean gap's.
    return student_p_value(mean / error, clusters.n - 1), student_quantile(1 - LEVEL / 2, clusters.n - 1) * error


def sides(sums: PredictionSums) -> tuple[tuple[Range, ...], tuple[Range, ...], float]:
    """Find where confidence is too high and too low beyond chance, at the level ``LEVEL`` over all bins together.

    Returns:
        The ranges of confidence of either sign, and the ratio of the lesser side's summed gaps to the other's.
    """
    stats = sums.equal_mass
    held = stats.count > 0
    count, squares = stats.count.to(stats.gap), stats.count if stats.square_sum is None else stats.square_sum
    chance = stats.confidence.clamp(0, 1)
    error = (squares * chance * (1 - chance)).sqrt() / at_least_one(count)
    bound = NormalDist().inv_cdf(1 - LEVEL / 2 / max(1, int(held.sum())))
    beyond = held & (stats.gap.abs() > bound * error)
    signs = torch.where(beyond, stats.gap.sign(), 0.0)
    size = stats.weight * stats.gap.abs()
    masses = [float(size[signs == sign].sum()) for sign in (1, -1)]
    minor = min(masses) / max(masses) if max(masses) > 0 else 0.0
    return _ranges(sums.cells, stats, signs == 1), _ranges(sums.cells, stats, signs == -1), minor


def _ranges(cells: BinStats, stats: BinStats, chosen: Tensor) -> tuple[Range, ...]:
    """Smallest and largest confidence of each run of neighbouring bins; bins without samples do not part a run."""
    found: list[list[float]] = []
    ends = torch.searchsorted(upper_edges(cells), stats.edges, right=True).tolist()
    apart = True
    for index, (first, end) in enumerate(zip([0, *ends], [*ends, cells.n_bins], strict=True)):
        held = cells.count[first:end].nonzero().squeeze(1)
        if not len(held):
            continue
        if not chosen[index]:
            apart = True
            continue
        place = held[[0, -1]] + first
        low, high = (cells.confidence_sum[place] / cells.count[place]).tolist()
        found = [*found, [low, high]] if apart else [*found[:-1], [found[-1][0], high]]
        apart = False
    return tuple((low, min(high, 1.0)) for low, high in found)
