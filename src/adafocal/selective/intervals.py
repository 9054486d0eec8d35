# SPDX-License-Identifier: Apache-2.0
"""Every selective measure at once, with bootstrap intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._checks import check_integer, check_number
from adafocal._estimate import Estimate, percentile_estimate
from adafocal._shapes import Confidence, Correct
from adafocal.errors import InvalidValueError
from adafocal.selective.areas import augrc_weights, aurc_weights, perfect_ranking
from adafocal.selective.curves import (
    LossGroups,
    coverage_of_groups,
    group_losses,
    top_share_weights,
    weighted_mean_of_groups,
)

CHUNK = 2**18  # resampled counts held at a time: few enough to stay in the cache


@dataclass(frozen=True)
class SelectiveSummary:
    """How well a confidence score tells which predictions to answer.

    Attributes:
        n: Number of samples.
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


def selective_summary(
    confidence: Confidence,
    losses: Correct,
    *,
    estimator: str = "harmonic",
    risk: float = 0.05,
    coverage: float = 0.8,
    level: float = 0.95,
    n_resamples: int = 1000,
    generator: torch.Generator | None = None,
) -> SelectiveSummary:
    """Measure selective prediction by one confidence score, with percentile bootstrap intervals.

    Args:
        confidence: Any confidence score of N >= 2 samples; only its order matters.
        losses: Loss per sample, finite; for error rates ``~correct``.
        estimator: Of AURC: ``harmonic``, ``ln`` or ``sele``.
        risk: Largest mean loss allowed for ``coverage_at_risk``.
        coverage: Share of the samples to answer for ``risk_at_coverage``, in (0, 1].
        level: Coverage of each interval, in (0, 1).
        n_resamples: Bootstrap resamples of the samples.
        generator: Source of the resamples; by default one with seed 0, so that equal data give equal intervals.

    Returns:
        Six estimates. Where no sample has a loss, all of them are 0 with the point 0 as interval, except
        ``coverage_at_risk``, which is 1.

    Raises:
        TypeError: If ``confidence`` is not floating point.
        ValueError: If shapes differ, there are fewer than two samples, a confidence is NaN, a loss is not finite, or an
            option is out of range.

    Example:
        >>> summary = selective_summary(torch.tensor([0.9, 0.8, 0.6, 0.5]), torch.tensor([0, 0, 1, 0]))
        >>> summary.risk.value, round(summary.aurc.value, 4), summary.coverage_at_risk.value
        (0.25, 0.1458, 0.5)
    """
    check_number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    check_number("risk", risk)
    check_integer("n_resamples", n_resamples, minimum=1)
    groups, best = group_losses(confidence, losses), group_losses(perfect_ranking(losses), losses)
    n = confidence.numel()
    if n < 2:
        raise InvalidValueError(f"`confidence` must hold at least 2 samples for an interval, got {n}.")
    measure = _measures(n, estimator=estimator, risk=risk, coverage=coverage, like=groups.count)
    values = measure(groups.count, groups.loss_sum, best.count, best.loss_sum)
    drawn = []
    generator = generator or torch.Generator().manual_seed(0)
    rows = max(1, CHUNK // n)
    for start in range(0, n_resamples, rows):
        picked = torch.randint(n, (min(rows, n_resamples - start), n), generator=generator).to(losses.device)
        drawn.append(measure(*_resampled(groups, losses, picked), *_resampled(best, losses, picked)))
    estimates = {
        name: percentile_estimate(value, torch.cat([part[name] for part in drawn]), level=level)
        for name, value in values.items()
    }
    return SelectiveSummary(n=n, **estimates)


def _measures(
    n: int, *, estimator: str, risk: float, coverage: float, like: Tensor
) -> Callable[[Tensor, Tensor, Tensor, Tensor], dict[str, Tensor]]:
    """Give the function from groups by confidence and groups by loss, shape (…, k), to every measure, shape (…)."""
    area, general = aurc_weights(n, estimator).to(like), augrc_weights(n).to(like)
    top = top_share_weights(n, coverage=coverage).to(like)

    def measure(count: Tensor, loss_sum: Tensor, best_count: Tensor, best_sum: Tensor) -> dict[str, Tensor]:
        aurc = weighted_mean_of_groups(count, loss_sum, area)
        return {
            "risk": loss_sum.sum(-1) / n,
            "aurc": aurc,
            "excess_aurc": (aurc - weighted_mean_of_groups(best_count, best_sum, area)).clamp_min(0.0),
            "augrc": weighted_mean_of_groups(count, loss_sum, general),
            "coverage_at_risk": coverage_of_groups(count, loss_sum, risk=risk),
            "risk_at_coverage": weighted_mean_of_groups(count, loss_sum, top),
        }

    return measure


def _resampled(groups: LossGroups, losses: Tensor, picked: Tensor) -> tuple[Tensor, Tensor]:
    """Give counts and summed losses per group for each row of picked samples, shape (B, k): nothing is sorted again."""
    zeros = torch.zeros(len(picked), groups.count.numel(), dtype=groups.count.dtype, device=groups.count.device)
    index = groups.index[picked]
    wide = losses.to(zeros.dtype)[picked]
    return zeros.scatter_add(1, index, torch.ones_like(wide)), zeros.scatter_add(1, index, wide)
