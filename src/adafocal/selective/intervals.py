# SPDX-License-Identifier: Apache-2.0
"""Every selective measure at once, with intervals."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._checks import check_number
from adafocal._docs import documented
from adafocal._estimate import Estimate, joined_ends, log_interval
from adafocal._shapes import Confidence, Correct, Given, SampleWeight
from adafocal._tails import binomial_interval, binomial_tails
from adafocal.errors import InvalidValueError
from adafocal.selective.areas import augrc_weights, aurc_weights, perfect_ranking, weighted_augrc, weighted_aurc
from adafocal.selective.curves import coverage_of_groups, top_share_of_groups, top_share_weights
from adafocal.selective.groups import LossGroups, Ranking, ranked, weighted_mean_of_groups
from adafocal.selective.leave_one_out import jackknife, without_each

FEWEST = 300  # samples of a loss that is not 0 or 1; with fewer the simulated coverage falls to 90 %
Ends = tuple[float, float] | tuple[None, None]


@dataclass(frozen=True)
class SelectiveSummary:
    """How well a confidence score tells which predictions to answer.

    Attributes:
        n: Number of samples; of weighted ones those that count.
        risk: Mean loss with every sample answered.
        aurc: Area under the risk-coverage curve; lower is better.
        excess_aurc: AURC minus that of a perfect ranking; lower is better.
        augrc: Area under the generalised risk-coverage curve; lower is better.
        coverage_at_risk: Largest coverage with a mean loss of at most the given risk; higher is better.
        risk_at_coverage: Mean loss of the given share of most confident samples; lower is better.
    """

    n: int
    risk: Estimate
    aurc: Estimate
    excess_aurc: Estimate
    augrc: Estimate
    coverage_at_risk: Estimate
    risk_at_coverage: Estimate


@documented
def selective_summary(
    confidence: Given[Confidence],
    losses: Given[Correct],
    *,
    estimator: str = "harmonic",
    risk: float = 0.05,
    coverage: float = 0.8,
    level: float = 0.95,
    n_resamples: int | None = None,
    generator: torch.Generator | None = None,
    sample_weight: Given[SampleWeight] | None = None,
) -> SelectiveSummary:
    """Measure selective prediction by one confidence score, with intervals for what new samples would give.

    For errors (losses of 0 and 1): the risk has the mid-p binomial interval; the risk at a coverage too, with as many
    samples as leave room for the threshold to move. Coverage at a risk r reaches from the largest coverage at which the
    errors are significantly fewer than r allows to the largest at which they are not significantly more, widened by how
    far the share of samples above a threshold may move; it supposes that the risk falls as confidence rises. The areas
    have jackknife intervals on the logarithmic scale, with a t quantile for the few errors that they hang on. Their
    simulated coverage is in the documentation; the areas of fewer than two errors have none.

    For other losses, of 300 samples or more and none negative, risk and areas have the same; the others none.

    Args:
        confidence: Any confidence score of N >= 2 samples; only its order matters.
        estimator: Of AURC: ``harmonic``, ``ln`` or ``sele``.
        risk: Largest mean loss allowed for ``coverage_at_risk``.
        coverage: Share of the samples to answer for ``risk_at_coverage``, in (0, 1].
        level: Coverage of each interval, in (0, 1).
        n_resamples: No longer used: there is no bootstrap.
        generator: No longer used.
        sample_weight: How much each sample counts, finite and >= 0, shape (N,); None: each counts once. No interval is
            known to hold for weighted samples.

    Returns:
        Six estimates; ``low`` and ``high`` are None where no interval is known to hold.

    Raises:
        TypeError: If ``confidence`` is not floating point.
        ValueError: If shapes differ, there are fewer than two samples, a confidence is NaN, a loss is not finite, or an
            option is out of range.

    Example:
        >>> summary = selective_summary(torch.tensor([0.9, 0.8, 0.6, 0.5]), torch.tensor([0, 0, 1, 0]))
        >>> summary.risk.value, round(summary.aurc.value, 4), summary.coverage_at_risk.value
        (0.25, 0.1458, 0.5)
        >>> round(summary.risk.low, 3), round(summary.risk.high, 3)
        (0.013, 0.757)
    """
    check_number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    check_number("risk", risk)
    if n_resamples is not None or generator is not None:
        message = "`n_resamples` and `generator` are no longer used: the intervals of selective_summary draw nothing."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    ranking = ranked(confidence, losses, sample_weight, places=True)
    best = ranked(perfect_ranking(losses), losses, sample_weight, places=True)
    n, groups = len(ranking), ranking.groups()
    if n < 2:
        raise InvalidValueError(f"`confidence` must hold at least 2 samples for an interval, got {n}.")
    if sample_weight is not None:
        return _weighted_summary(ranking, best, estimator, risk=risk, coverage=coverage)
    index, of_best = ranking.index(), (best.groups(), best.index())
    area, least = (_area(*of, losses, lambda m: aurc_weights(m, estimator)) for of in ((groups, index), of_best))
    wide = losses.to(groups.count)
    smooth = {
        "risk": (wide.mean(), (wide.sum() - wide) / (n - 1)),
        "aurc": area,
        "excess_aurc": ((area[0] - least[0]).clamp_min(0.0), area[1] - least[1]),
        "augrc": _area(groups, index, losses, augrc_weights),
    }
    values = {name: float(value) for name, (value, _) in smooth.items()}
    values["coverage_at_risk"] = float(coverage_of_groups(groups.count, groups.loss_sum, risk=risk))
    values["risk_at_coverage"] = float(weighted_mean_of_groups(groups, top_share_weights(n, coverage=coverage)))
    ends = {name: _area_interval(values[name], left_out, wide, level=level) for name, (_, left_out) in smooth.items()}
    if bool(((wide == 0) | (wide == 1)).all()):
        ends["risk"] = binomial_interval(float(wide.sum()), n, level=level)
        ends["coverage_at_risk"] = _coverage_interval(groups, values["coverage_at_risk"], risk=risk, level=level)
        ends["risk_at_coverage"] = _risk_interval(groups, values["risk_at_coverage"], coverage, level=level)
    return SelectiveSummary(n=n, **{name: Estimate(value, *ends.get(name, ())) for name, value in values.items()})


def _weighted_summary(
    ranking: Ranking, best: Ranking, estimator: str, *, risk: float, coverage: float
) -> SelectiveSummary:
    """Measure weighted samples, without intervals."""
    groups = ranking.groups()
    area = weighted_aurc(groups, estimator)
    values = {
        "risk": groups.loss_sum.sum() / groups.count.sum(),
        "aurc": area,
        "excess_aurc": (area - weighted_aurc(best.groups(), estimator)).clamp_min(0.0),
        "augrc": weighted_augrc(groups),
        "coverage_at_risk": coverage_of_groups(groups.count, groups.loss_sum, risk=risk),
        "risk_at_coverage": top_share_of_groups(groups, coverage=coverage),
    }
    return SelectiveSummary(n=len(ranking), **{name: Estimate(float(value)) for name, value in values.items()})


def _area(groups: LossGroups, index: Tensor, losses: Tensor, weights: Callable[[int], Tensor]) -> tuple[Tensor, Tensor]:
    """Measure an area, and what it is without each sample, whose group ``index`` tells."""
    n = len(losses)
    left_out = without_each(groups, index, losses, weights(n - 1))
    return weighted_mean_of_groups(groups, weights(n)), left_out


def _area_interval(value: float, left_out: Tensor, losses: Tensor, *, level: float) -> Ends:
    """Bound an area by a logarithmic t interval; none where too few samples bear the loss, or one is negative."""
    error, df = jackknife(left_out)
    bearing = float(losses.sum() ** 2 / losses.square().sum()) if losses.any() else 0.0
    errors = bool(((losses == 0) | (losses == 1)).all())
    if value <= 0 or error == 0 or bearing < 2 or (not errors and (len(losses) < FEWEST or float(losses.min()) < 0)):
        return None, None
    low, high = log_interval(value, error, level=level, df=max(1.0, min(df, bearing - 1)))
    return low, min(1.0, high) if errors else high  # an area is a mean of losses, weighted


def _coverage_interval(groups: LossGroups, value: float, *, risk: float, level: float) -> Ends:
    """Find the coverages at which the errors neither contradict the risk nor, more tightly, confirm it."""
    n, tail = float(groups.count.sum()), (1 - level) / 2
    if risk <= 0 or risk >= 1:  # every error, or none, contradicts it
        return value, value
    answered, errors = groups.count.flip(0).cumsum(0), groups.loss_sum.flip(0).cumsum(0)
    few, many = binomial_tails(errors, answered, risk)
    sure, possible = (float(torch.where(there, answered, 0.0).max()) / n for there in (few <= tail, many > tail))
    sure, possible = min(sure, value), max(possible, value)
    ties = dict(zip((answered / n).tolist(), (groups.count.flip(0) / n).tolist(), strict=True))
    below = _moved(sure, n, level)[0]
    above = _moved(possible, n, level)[1]
    low, high = joined_ends(value, (sure, below), (possible, above))
    # Within ties a threshold cannot slide: it is known, and what may move is the share above it alone.
    low = below if ties.get(sure, 0.0) >= sure - below else low
    high = above if ties.get(possible, 0.0) >= above - possible else high
    return max(0.0, low), min(1.0, high)


def _moved(coverage: float, n: float, level: float) -> tuple[float, float]:
    """Bound the share above a fixed threshold, of which this one was seen; all samples stay all."""
    return (coverage, coverage) if coverage in (0.0, 1.0) else binomial_interval(coverage * n, n, level=level)


def _risk_interval(groups: LossGroups, value: float, coverage: float, *, level: float) -> Ends:
    """Bound the risk as if of fewer samples: the threshold moves, and takes in samples of the risk near it."""
    n = int(groups.count.sum())
    top = min(n, max(1, math.ceil(coverage * n - 1e-9)))
    descending = torch.repeat_interleave((groups.loss_sum / groups.count).flip(0), groups.count.flip(0).long())
    reach = max(5, round(n**0.8 / 4))
    near = float(descending[max(0, top - reach) : top + reach].mean())
    within = value * (1 - value)
    moving = (near - value) ** 2 * (1 - top / n)
    size = top * within / (within + moving) if within > 0 else float(top)
    return binomial_interval(value * size, size, level=level)
