# SPDX-License-Identifier: Apache-2.0
"""Areas under risk-coverage curves: one number for how well a confidence score ranks the losses. Lower is better."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from adafocal._checks import check_choice
from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, SampleWeight, Scalar
from adafocal.selective.curves import area_of_groups
from adafocal.selective.groups import LossGroups, Ranking, ranked, weighted_mean_of_groups
from adafocal.selective.weights import KINDS, rank_weights, some_rank_weights, summed_weights


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
    return _aurc(ranked(confidence, losses, sample_weight), estimator)


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
    area = _aurc(ranked(confidence, losses, sample_weight), estimator)
    best = _aurc(ranked(perfect_ranking(losses), losses, sample_weight), estimator)
    return (area - best).clamp_min(0.0)


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
    ranking = ranked(confidence, losses, sample_weight)
    if ranking.weight is not None:
        return weighted_augrc(ranking.groups())
    return _area(ranking, lambda first, end: augrc_weights(len(ranking), first, end))


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


def augrc_weights(n: int, first: int = 0, end: int | None = None) -> Tensor:
    """Weight of each rank r for AUGRC, by default of all: (r - 1/2) / n."""
    return (torch.arange(first, n if end is None else end, dtype=torch.float64) + 0.5) / n


def perfect_ranking(losses: Correct) -> Confidence:
    """Rank the samples by their losses, the smallest first: their confidences."""
    return -(losses.float() if losses.dtype == torch.bool else losses.double())


def _aurc(ranking: Ranking, estimator: str) -> Tensor:
    check_choice("estimator", estimator, KINDS)
    if ranking.weight is not None:
        return weighted_aurc(ranking.groups(), estimator)
    return _area(ranking, lambda first, end: some_rank_weights(len(ranking), first, end, kind=estimator))


def _area(ranking: Ranking, weights: Callable[[int, int], Tensor]) -> Tensor:
    """Average weight of rank · loss, with the weights of the ranks from one, counted from 0, to another."""
    total: Tensor | float = 0.0
    for first, end, groups in ranking.pieces():
        total = total + (end - first) * weighted_mean_of_groups(groups, weights(first, end))
    return torch.as_tensor(total) / len(ranking)
