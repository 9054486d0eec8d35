# SPDX-License-Identifier: Apache-2.0
"""Areas under risk-coverage curves: one number for how well a confidence score ranks the losses. Lower is better."""

from functools import partial

import torch
from torch import Tensor

from adafocal._checks import check_choice
from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, SampleWeight, Scalar
from adafocal.selective.curves import LossGroups, area_of_groups, group_losses, weighted_mean_of_groups
from adafocal.selective.weights import KINDS, rank_weights, summed_weights


@documented
def aurc(
    confidence: Given[Confidence],
    losses: Given[Correct],
    *,
    estimator: str = "harmonic",
    sample_weight: Given[SampleWeight] | None = None,
) -> Scalar:
    """Measure the area under the risk-coverage curve: the selective risk averaged over all coverages.

    It mixes how good the predictions are with how well the confidence ranks them: compare models of one accuracy, or
    take :func:`excess_aurc`. The AURC loss uses the same weights.

    Formula: mean(alpha_r · loss), with alpha_r of :func:`adafocal.selective.rank_weights` for rank r in ascending
    confidence; tied samples share the mean weight of their ranks.

    Args:
        estimator: ``harmonic`` (exactly the average over coverages 1/N … 1), ``ln`` or ``sele``.

    Returns:
        A float64 scalar, lower is better. With ``harmonic`` and all confidences equal it is the mean loss.

    Example:
        >>> aurc(torch.tensor([0.9, 0.6, 0.5]), torch.tensor([0, 1, 0]))  # risks 0, 1/2, 1/3
        tensor(0.2778, dtype=torch.float64)

    Reference:
        Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019,
        https://arxiv.org/abs/1805.08206, equation 2. Estimators: see :func:`adafocal.selective.rank_weights`.
    """
    if sample_weight is not None:
        return weighted_aurc(group_losses(confidence, losses, sample_weight), estimator)
    return _area(group_losses(confidence, losses), aurc_weights(confidence.numel(), estimator))


@documented
def excess_aurc(
    confidence: Given[Confidence],
    losses: Given[Correct],
    *,
    estimator: str = "harmonic",
    sample_weight: Given[SampleWeight] | None = None,
) -> Scalar:
    """Measure how much of the AURC a perfect ranking of the same losses would save (E-AURC).

    Args:
        estimator: As in :func:`aurc`.

    Returns:
        A float64 scalar, at least 0, lower is better; 0 for a perfect ranking.

    Example:
        >>> excess_aurc(torch.tensor([0.9, 0.6, 0.5]), torch.tensor([0, 1, 0]))  # best: risks 0, 0, 1/3
        tensor(0.1667, dtype=torch.float64)

    Differs from the paper, section 4 of that of :func:`aurc`: the best AURC is that of these samples, not its
    approximation r + (1 - r) ln(1 - r).
    """
    groups = group_losses(confidence, losses, sample_weight)
    if sample_weight is not None:
        ranked = group_losses(perfect_ranking(losses), losses, sample_weight)
        return (weighted_aurc(groups, estimator) - weighted_aurc(ranked, estimator)).clamp_min(0.0)
    weights = aurc_weights(confidence.numel(), estimator)
    best = _area(group_losses(perfect_ranking(losses), losses), weights)
    return (_area(groups, weights) - best).clamp_min(0.0)


@documented
def augrc(
    confidence: Given[Confidence], losses: Given[Correct], *, sample_weight: Given[SampleWeight] | None = None
) -> Scalar:
    """Measure the area under the generalised risk-coverage curve: the risk of an undetected failure, averaged.

    Unlike AURC it does not weigh the most confident failures without bound, and for errors it is linear in the AUROC of
    failure detection.

    Formula: the generalised risk at a coverage is the summed loss of the answered samples over N; the area by the
    trapezoidal rule is mean((r - 1/2) / N · loss). For errors it equals
    (1 - AUROC) acc (1 - acc) + (1 - acc)^2 / 2.

    Returns:
        A float64 scalar, lower is better; for errors in [0, 1/2].

    Example:
        >>> augrc(torch.tensor([0.9, 0.6, 0.5]), torch.tensor([0, 1, 0]))
        tensor(0.1667, dtype=torch.float64)

    Reference:
        Traub et al., "Overcoming common flaws in the evaluation of selective classification systems", NeurIPS 2024,
        https://arxiv.org/abs/2407.01032, equations 3 and 5.
    """
    if sample_weight is not None:
        return weighted_augrc(group_losses(confidence, losses, sample_weight))
    return _area(group_losses(confidence, losses), augrc_weights(confidence.numel()))


def weighted_aurc(groups: LossGroups, estimator: str) -> Tensor:
    """Compute :func:`aurc` of groups of weighted samples."""
    check_choice("estimator", estimator, KINDS)
    return area_of_groups(groups, partial(summed_weights, kind=estimator))


def weighted_augrc(groups: LossGroups) -> Tensor:
    """Compute :func:`augrc` of groups of weighted samples."""
    return area_of_groups(groups, lambda rank, n: rank.square() / (2 * n))


def aurc_weights(n: int, estimator: str) -> Tensor:
    """Weight of each rank for an estimator of AURC."""
    check_choice("estimator", estimator, KINDS)
    return rank_weights(n, kind=estimator)


def augrc_weights(n: int) -> Tensor:
    """Weight of each rank for AUGRC: (r - 1/2) / n."""
    return (torch.arange(1, n + 1, dtype=torch.float64) - 0.5) / n


def perfect_ranking(losses: Correct) -> Confidence:
    """Rank the samples by their losses, the smallest first: their confidences."""
    return -losses.double()


def _area(groups: LossGroups, weights: Tensor) -> Tensor:
    return weighted_mean_of_groups(groups.count, groups.loss_sum, weights.to(groups.count))
