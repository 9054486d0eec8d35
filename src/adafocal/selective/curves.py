# SPDX-License-Identifier: Apache-2.0
"""The risk-coverage curve: which risk is left when only the most confident samples are answered."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._checks import check_number, check_same_shape, check_tensor
from adafocal._docs import documented
from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, Correct, Given, SampleWeight, Scalar
from adafocal._values import check_vector, checked_sample_weight, counted_samples
from adafocal.errors import InvalidTypeError, InvalidValueError

WHOLE = 1e-9


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
    groups = group_losses(confidence, losses, sample_weight)
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
    groups = group_losses(confidence, losses, sample_weight)
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
    groups = group_losses(confidence, losses, sample_weight)
    if sample_weight is not None:
        return top_share_of_groups(groups, coverage=coverage)
    weights = top_share_weights(confidence.numel(), coverage=coverage).to(groups.count)
    return weighted_mean_of_groups(groups.count, groups.loss_sum, weights)


@dataclass(frozen=True, eq=False)
class LossGroups:
    """Losses summed over samples of one confidence, in ascending confidence.

    Attributes:
        confidence: Distinct confidences, ascending, shape (k,).
        count: Samples per confidence, shape (k,), whole numbers as float64.
        loss_sum: Summed loss per confidence, shape (k,).
        index: The confidence that each sample belongs to, shape (N,).
    """

    confidence: Tensor
    count: Tensor
    loss_sum: Tensor
    index: Tensor


def group_losses(confidence: Confidence, losses: Correct, sample_weight: SampleWeight | None = None) -> LossGroups:
    """Check confidences and losses and sum the losses per distinct confidence.

    Whole weights are repeated samples; others are multiplied so that they sum to the number of samples that count.
    """
    check_vector("confidence", confidence)
    check_tensor("losses", losses)
    if losses.is_complex():
        raise InvalidTypeError(f"`losses` must hold booleans or real numbers, got dtype {losses.dtype}.")
    check_same_shape("losses", losses, "confidence", confidence)
    wide = losses.to(wide_dtype(losses.device))
    for name, bad in (
        ("`confidence` must not be NaN", confidence.isnan()),
        ("`losses` must be finite", ~wide.isfinite()),
    ):
        if bad.any():
            place = int(bad.nonzero()[0])
            value = confidence[place] if "confidence" in name else wide[place]
            raise InvalidValueError(f"{name}, got {value:g} at position {place}.")
    confidence, wide, weight = counted_samples(confidence, wide, checked_sample_weight(sample_weight, confidence))
    each = torch.ones_like(wide) if weight is None else weight.to(wide)
    if not bool((each == each.round()).all()):
        each = each * (len(each) / each.sum())
        if bool(((each - each.round()).abs() < WHOLE).all()):
            each = each.round()  # as equal weights are, but for rounding
    distinct, index = torch.unique(confidence, return_inverse=True)
    zeros = torch.zeros(distinct.numel(), dtype=wide.dtype, device=wide.device)
    return LossGroups(
        confidence=distinct,
        count=zeros.index_add(0, index, each),
        loss_sum=zeros.index_add(0, index, each * wide),
        index=index,
    )


def weighted_mean_of_groups(count: Tensor, loss_sum: Tensor, weights: Tensor) -> Tensor:
    """Average weight of rank · loss, shape (…, k) to (…); tied samples share the mean of their ranks' weights.

    That is the expectation over random orders within ties, so the result does not depend on the order of the samples.

    Args:
        count: Samples per group in ascending confidence, shape (…, k); groups may be empty.
        loss_sum: Summed loss per group, shape (…, k).
        weights: Weight of each rank, ascending, shape (N,), with N the sum of the counts.
    """
    prefix = torch.cat([weights.new_zeros(1), weights.cumsum(0)])
    last = count.cumsum(-1).long()
    share = prefix[last] - prefix[last - count.long()]
    return (loss_sum * share / count.clamp_min(1)).sum(-1) / len(weights)


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
