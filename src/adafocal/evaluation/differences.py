# SPDX-License-Identifier: Apache-2.0
"""Differences of measures between two sets of predictions, with intervals whose coverage was simulated.

A measure is followed to first order: each row has an influence on it, and the difference of the influences of both sets
on a row says how far the difference scatters when rows are the same; where they are not, variances add.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist

import torch
from torch import Tensor

from adafocal._tails import student_quantile
from adafocal.calibration.bins import sum_bins
from adafocal.calibration.clusters import ClusterSums
from adafocal.calibration.edges import find_bins, mass_edges
from adafocal.calibration.errors import ECE_DEBIASED
from adafocal.calibration.reliability import score_interval
from adafocal.calibration.rows import Rows, Sampling
from adafocal.selective.areas import weighted_aurc
from adafocal.selective.groups import LossGroups, ranked

LEVEL = 0.95
SMALLEST_P = 1e-9
ROUNDING = 1e-9  # of rows on which nothing differs, such as the ranks of confidences with another temperature
NEVER_BELOW = 0.09  # how far the debiased error lies below the truth at most, in standard errors of a bin
FADES = 0.7  # and over which distance from 0, in the same unit, its excess above the truth goes
FEWEST_ROWS = 30  # independent ones, with fewer of which no interval of the error was simulated
FEWEST_MISTAKES, FEW_MISTAKES = 2, "fewer than two mistakes"
ON_MISTAKES = ("nll", "brier", "aurc")  # what hangs on them, so that rows without any say nothing of its spread
NONE = torch.zeros(0)
Ends = Callable[[float], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Estimated:
    """A measure of one set of predictions.

    Attributes:
        value: What it is.
        influence: What each row adds to it, shape (N,), of mean 0; empty where no interval can be made.
        below: How far its expectation may exceed the truth.
        above: How far it may fall short of it.
        why: Why there is no interval.
    """

    value: float
    influence: Tensor
    below: float = 0.0
    above: float = 0.0
    why: str = ""


@dataclass(frozen=True, eq=False)
class Side:
    """One of the sets that are compared.

    Attributes:
        rows: Its rows.
        sampling: How they were drawn.
        measures: What is compared, by name.
    """

    rows: Rows
    sampling: Sampling
    measures: dict[str, Estimated]

    @classmethod
    def of(cls, rows: Rows, sampling: Sampling, *, n_bins: int) -> "Side":
        """Measure what is compared, each with its influences."""
        means = {"accuracy": rows.right.double(), "nll": rows.nll, "brier": rows.square, "overconfidence": rows.gap}
        found = {name: _mean(values, sampling) for name, values in means.items()}
        found |= {ECE_DEBIASED.name: _calibration_error(rows, sampling, n_bins), "aurc": _area(rows, sampling)}
        if int((~rows.right).sum()) < FEWEST_MISTAKES:
            hanging = {name: replace(found[name], why=found[name].why or FEW_MISTAKES) for name in ON_MISTAKES}
            found |= hanging
        return cls(rows, sampling, found)


def _mean(values: Tensor, sampling: Sampling) -> Estimated:
    mean = sampling.mean(values)
    if not mean.isfinite():
        return Estimated(float(mean), NONE, why="a true class had probability 0, so that the NLL is infinite")
    return Estimated(float(mean), values - mean)


def _calibration_error(rows: Rows, sampling: Sampling, n_bins: int) -> Estimated:
    """Follow the debiased error in equal-mass bins, and bound what its debiasing leaves.

    Where a bin is calibrated the debiased gap is still about half a standard error s above 0, and where it is not it
    may fall short of the truth by 0.09 s. No estimate of an absolute value near 0 is free of that, so the interval
    gives room for it: in the mean over gaps u s at least as much as is left, whatever u is.

    Reference:
        Cai and Low, "Testing composite hypotheses, Hermite polynomials and optimal estimation of a nonsmooth
        functional", Annals of Statistics 39, 2011 (why none is free of it).
    """
    edges = mass_edges(rows.confidence, n_bins, sampling.weight)
    index = find_bins(rows.confidence, edges)
    stats = sum_bins(rows.confidence, rows.happened, edges, index, sampling.weight)
    value = float(stats.compute(debias=True))
    if sampling.n_independent < FEWEST_ROWS:
        return Estimated(value, NONE, why=f"fewer than {FEWEST_ROWS} independent rows")
    gap, share, n = stats.gap, stats.weight, stats.effective.double()
    residual = rows.gap - gap[index]
    size = gap.abs()
    influence = size[index] - (share * size).sum() + gap.sign()[index] * residual
    binomial = (stats.accuracy * (1 - stats.accuracy) / stats.samples.clamp_min(1)).sqrt()
    # A bin that is all right or all wrong seems to have no noise: its rate is then taken to be half a row from it.
    rate = (stats.accuracy * n + 0.5) / (n + 1)
    expected = stats.confidence * (1 - stats.confidence)
    variance = sampling.variance_in_bins(residual, index, n_bins)
    noise = torch.maximum(variance, torch.maximum(rate * (1 - rate), expected) / n.clamp_min(1)).sqrt()
    below, above = room(size, noise, binomial)
    return Estimated(value, influence, below=float((share * below).sum()), above=float((share * above).sum()))


def room(size: Tensor, noise: Tensor, binomial: Tensor) -> tuple[Tensor, Tensor]:
    """Bound how far the debiased gap of each bin may be expected above the true one, and below it.

    Args:
        size: Distance between confidence and accuracy in each bin, shape (B,).
        noise: Its standard error, > 0.
        binomial: The standard error that it was debiased with.
    """
    # The mean of |noise| is sqrt(2 / pi) of it: twice that of one draw, less that of a draw and the one debiased by.
    excess = math.sqrt(2 / math.pi) * (2 * noise - (noise.square() + binomial.square()).sqrt())
    fading = math.sqrt(1 + FADES**2) / FADES * (-(size / (FADES * noise)).square() / 2).exp()
    return excess * fading, NEVER_BELOW * noise * (size < 3 * noise)


def _area(rows: Rows, sampling: Sampling) -> Estimated:
    """Follow the area under the risk-coverage curve: its derivatives by the weights of rows are their influences."""
    wrong = ~rows.right
    ranking = ranked(rows.sure, wrong, sampling.weight, places=True)
    groups, index = ranking.groups(), ranking.index()
    value = float(weighted_aurc(groups, "harmonic"))
    heavy = sampling.heavy.clone().requires_grad_(True)
    scaled = heavy * (sampling.n / heavy.sum())
    zeros = heavy.new_zeros(len(groups.confidence))
    count = zeros.index_add(0, index, scaled)
    loss_sum = zeros.index_add(0, index, scaled * wrong.double())
    area = weighted_aurc(LossGroups(groups.confidence, count, loss_sum), "harmonic")
    (slope,) = torch.autograd.grad(area, heavy)
    return Estimated(value, slope * sampling.heavy.sum())


@dataclass(frozen=True)
class Contrast:
    """A difference, or a sum, and how far it scatters.

    Attributes:
        value: What it is.
        variance: Its variance.
        df: Degrees of freedom that this is known with.
        below: How far its expectation may exceed the truth.
        above: How far it may fall short of it.
    """

    value: float
    variance: float
    df: float
    below: float = 0.0
    above: float = 0.0

    def ends(self, level: float) -> tuple[float, float]:
        """Both ends of the interval.

        Where an expectation may be off, its whole range is held, and both tails do not count in full.

        Reference:
            Imbens and Manski, "Confidence intervals for partially identified parameters", Econometrica 72, 2004.
        """
        error = math.sqrt(self.variance)
        if error == 0:
            return self.value - self.below, self.value + self.above
        normal, room = NormalDist(), (self.below + self.above) / error
        z = normal.inv_cdf(0.5 + level / 2)
        if room > 0:
            low, high = normal.inv_cdf(level), z
            for _ in range(40):
                middle = (low + high) / 2
                enough = normal.cdf(middle + room) - normal.cdf(-middle) >= level
                low, high = (low, middle) if enough else (middle, high)
            z = high
        half = student_quantile(normal.cdf(z), self.df) * error
        return self.value - self.below - half, self.value + self.above + half


def ends_of(name: str, base: Side, side: Side, *, paired: bool) -> Ends:
    """Bound a measure of one set minus that of another, by level; both must have influences."""
    if name == "accuracy":
        return _accuracy_ends(base, side, paired=paired)
    return contrast(name, base, side, paired=paired).ends


def contrast(name: str, base: Side, side: Side, *, paired: bool, sign: int = -1) -> Contrast:
    """Take the measure of one set from that of another, or add both."""
    first, second, samplings = base.measures[name], side.measures[name], (base.sampling, side.sampling)
    value = second.value + sign * first.value
    if paired:
        influence = second.influence + sign * first.influence
        if float(influence.abs().max()) < ROUNDING:
            return Contrast(value if abs(value) > ROUNDING else 0.0, 0.0, 1.0)
        spread = samplings[0].spread(influence)
    else:
        spread = _added(samplings[0].spread(first.influence), samplings[1].spread(second.influence))
    return Contrast(value, *spread, below=second.below + first.above, above=second.above + first.below)


def _added(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Add two variances; degrees of freedom by Welch and Satterthwaite."""
    variance = first[0] + second[0]
    if variance == 0:
        return 0.0, first[1]
    return variance, variance**2 / sum(of**2 / df for of, df in (first, second))


def _accuracy_ends(base: Side, side: Side, *, paired: bool) -> Ends:
    """Bound the difference of two shares by Wilson's interval of each and their correlation (MOVER).

    It holds where few rows, or none, are right in one set alone, and where all are right in both.

    Reference:
        Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
        Statistics in Medicine 17, 1998. Zou, "Toward using confidence intervals to compare correlations",
        Psychological Methods 12, 2007.
    """
    first, second, together = base.measures["accuracy"], side.measures["accuracy"], 0.0
    if paired:
        spread = base.sampling.spread
        alone = spread(first.influence)[0] * spread(second.influence)[0]
        both = spread(first.influence + second.influence)[0] - spread(second.influence - first.influence)[0]
        together = max(-1.0, min(1.0, both / 4 / math.sqrt(alone))) if alone > 0 else 0.0

    def ends(level: float) -> tuple[float, float]:
        (low1, high1), (low2, high2) = (_share_ends(one, level) for one in (base, side))
        (a, b), (c, d) = (
            (second.value - low2, high1 - first.value),
            (high2 - second.value, first.value - low1),
        )
        distances = [math.sqrt(max(0.0, x * x + y * y - 2 * together * x * y)) for x, y in ((a, b), (c, d))]
        value = second.value - first.value
        return max(-1.0, value - distances[0]), min(1.0, value + distances[1])

    return ends


def _share_ends(side: Side, level: float) -> tuple[float, float]:
    sampling, rows = side.sampling, side.rows
    if sampling.cluster is not None:
        sums = ClusterSums.of(sampling.cluster, sampling.weight, rows.right, rows.gap)
        low, high = sums.accuracy_interval(level=level, n=sampling.n_effective)
        return float(low), float(high)
    share = torch.tensor([side.measures["accuracy"].value], dtype=torch.float64)
    lows, highs = score_interval(share, share.new_tensor([sampling.n_effective]), level=level)
    return float(lows[0]), float(highs[0])


def p_value(ends: Ends) -> float:
    """The smallest p at which the interval of the level 1 - p leaves 0 out; never below 1e-9."""

    def leaves_out(p: float) -> bool:
        low, high = ends(1 - p)
        return low > 0 or high < 0

    if not leaves_out(1 - 1e-9):
        return 1.0
    low, high = math.log(SMALLEST_P), 0.0
    if leaves_out(SMALLEST_P):
        return SMALLEST_P
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if leaves_out(math.exp(middle)) else (middle, high)
    return math.exp(high)
