# SPDX-License-Identifier: Apache-2.0
"""The risk-coverage curve: which risk is left when only the most confident samples are answered."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._checks import check_number
from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, SampleWeight, Scalar
from adafocal.selective.groups import LossGroups, ranked, weighted_mean_of_groups


@dataclass(frozen=True, eq=False)
class RiskCoverageCurve:
    """Points that thresholds on the confidence can reach, from the strictest threshold to none.

    Attributes:
        coverage: Share of the samples that are answered, ascending to 1, shape (k,).
        risk: Mean loss of the answered samples, shape (k,).
        threshold: Distinct confidences, descending; a sample is answered if its confidence is at least this.
    """

    coverage: Tensor
    risk: Tensor
    threshold: Tensor


@documented
def risk_coverage_curve(
    confidence: Given[Confidence], losses: Given[Correct], *, sample_weight: Given[SampleWeight] | None = None
) -> RiskCoverageCurve:
    """Trace risk against coverage, one point per distinct confidence.

    Args:
        confidence: Any confidence score of N >= 1 samples; only its order matters. Infinities are allowed.

    Returns:
        The curve; its last point is coverage 1 with the mean loss.

    Example:
        >>> risk_coverage_curve(torch.tensor([0.9, 0.6, 0.6]), torch.tensor([0, 1, 0])).risk
        tensor([0.0000, 0.3333], dtype=torch.float64)

    Reference:
        El-Yaniv and Wiener, "On the foundations of noise-free selective classification", JMLR 2010, section 2.
    """
    groups = ranked(confidence, losses, sample_weight).groups()
    count, total = groups.count.flip(0).cumsum(0), groups.loss_sum.flip(0).cumsum(0)
    return RiskCoverageCurve(coverage=count / count[-1], risk=total / count, threshold=groups.confidence.flip(0))


@documented
def coverage_at_risk(
    confidence: Given[Confidence],
    losses: Given[Correct],
    *,
    risk: float,
    sample_weight: Given[SampleWeight] | None = None,
) -> Scalar:
    """Find the largest coverage that a threshold reaches with a mean loss of at most ``risk`` on these samples.

    It describes these samples and is no guarantee for new ones: the threshold is picked where the risk happens to be
    low.

    Args:
        risk: Largest mean loss allowed.

    Returns:
        A float64 scalar in [0, 1], higher is better; 0 where no threshold reaches the risk.

    Example:
        >>> coverage_at_risk(torch.tensor([0.9, 0.7, 0.6, 0.5]), torch.tensor([0, 0, 0, 1]), risk=0.1)
        tensor(0.7500, dtype=torch.float64)

    Reference:
        Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017,
        https://arxiv.org/abs/1705.08500.
    """
    check_number("risk", risk)
    groups = ranked(confidence, losses, sample_weight).groups()
    return coverage_of_groups(groups.count, groups.loss_sum, risk=risk)


@documented
def risk_at_coverage(
    confidence: Given[Confidence],
    losses: Given[Correct],
    *,
    coverage: float,
    sample_weight: Given[SampleWeight] | None = None,
) -> Scalar:
    """Average the loss of the most confident ``coverage`` of the samples; ties at the cut enter by their mean.

    Args:
        coverage: Share of the samples to answer, in (0, 1]; rounded up to a whole number of samples; of
            weights that are not whole taken as it is.

    Returns:
        A float64 scalar, lower is better.

    Example:
        >>> risk_at_coverage(torch.tensor([0.9, 0.6, 0.6]), torch.tensor([0, 1, 0]), coverage=0.6)
        tensor(0.2500, dtype=torch.float64)

    Reference:
        Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017,
        https://arxiv.org/abs/1705.08500.
    """
    groups = ranked(confidence, losses, sample_weight).groups()
    if sample_weight is not None:
        return top_share_of_groups(groups, coverage=coverage)
    return weighted_mean_of_groups(groups, top_share_weights(confidence.numel(), coverage=coverage))


def area_of_groups(groups: LossGroups, summed: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Do what :func:`weighted_mean_of_groups` does of one row of groups whose counts need not be whole.

    Args:
        groups: Samples by confidence.
        summed: Weights of the ranks up to some, of n, summed.
    """
    last = groups.count.cumsum(0)
    n = last[-1]
    shares = summed(torch.cat([last.new_zeros(1), last]), n).diff()
    return (groups.loss_sum * shares / groups.count).sum() / n


def coverage_of_groups(count: Tensor, loss_sum: Tensor, *, risk: float) -> Tensor:
    """Find the largest coverage with a mean loss of at most ``risk``, shape (…, k) to (…); groups as above."""
    answered, total = count.flip(-1).cumsum(-1), loss_sum.flip(-1).cumsum(-1)
    # Compared as products, with room for the rounding of summed losses.
    allowed = total <= risk * answered + 1e-12 * answered
    return torch.where(allowed, answered / answered[..., -1:], 0.0).amax(-1)


def top_share_of_groups(groups: LossGroups, *, coverage: float) -> Tensor:
    """Average the loss of the most confident share of groups whose counts need not be whole."""
    check_number("coverage", coverage, low=0.0, high=1.0, open_low=True)
    n = groups.count.sum()
    top = coverage * n
    if bool((groups.count == groups.count.round()).all()):
        top = (top - 1e-9).ceil().clamp_min(1)
    return area_of_groups(groups, lambda rank, n: (rank - (n - top)).clamp_min(0) * n / top)


def top_share_weights(n: int, *, coverage: float) -> Tensor:
    """Weights of ranks 1 … n that average the most confident share: n / m for the top m, else 0."""
    check_number("coverage", coverage, low=0.0, high=1.0, open_low=True)
    top = min(n, max(1, math.ceil(coverage * n - 1e-9)))
    weights = torch.zeros(n, dtype=torch.float64)
    weights[n - top :] = n / top
    return weights
