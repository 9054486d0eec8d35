# SPDX-License-Identifier: Apache-2.0
"""How well scores tell out-of-distribution from in-distribution samples: everything from counts per distinct score.

Out-of-distribution is the positive class and has the higher scores, unless a function says otherwise. Only the order
of the scores enters, so scores of any size, infinities among them, are exact.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._checks import check_choice, check_number
from adafocal._docs import documented
from adafocal._shapes import Confidence, Given, OtherConfidence, Scalar
from adafocal._values import check_vector
from adafocal.errors import InvalidValueError

POSITIVES = ("ood", "id")


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Points of the curve, from (0, 0) to (1, 1), one per distinct score.

    Attributes:
        false_positive_rate: Share of in-distribution samples with a score of at least the threshold, shape (k + 1,).
        true_positive_rate: Share of out-of-distribution samples with a score of at least the threshold.
        threshold: Distinct scores, descending, after a first one of +inf that no sample reaches.
    """

    false_positive_rate: Tensor
    true_positive_rate: Tensor
    threshold: Tensor


@documented
def auroc(id_scores: Given[Confidence], ood_scores: Given[OtherConfidence]) -> Scalar:
    """Measure how often an out-of-distribution sample has the higher score of a random pair; ties count one half.

    It does not depend on how many samples of each kind there are, and says nothing about any one threshold.

    Formula: P(ood > id) + P(ood = id) / 2, the Mann-Whitney statistic over N M pairs.

    Returns:
        A float64 scalar in [0, 1]; 0.5 is a guess (exactly so where all scores are equal), higher is better.

    Example:
        >>> auroc(torch.tensor([0.1, 0.2]), torch.tensor([0.2, 0.9]))
        tensor(0.8750, dtype=torch.float64)

    Reference:
        Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
        Radiology 1982.
    """
    return auroc_of_counts(score_counts(id_scores, ood_scores))


@documented
def aupr(id_scores: Given[Confidence], ood_scores: Given[OtherConfidence], *, positive: str = "ood") -> Scalar:
    """Measure precision averaged over the recall of one kind of sample; it depends on the share of that kind.

    Formula: average precision, sum_k (recall_k - recall_{k-1}) precision_k over the distinct scores.

    Args:
        positive: ``ood`` (AUPR-out) finds the out-of-distribution samples from the highest score down; ``id``
            (AUPR-in) finds the in-distribution samples from the lowest score up.

    Returns:
        A float64 scalar in (0, 1]; a guess gives the share of the positive kind, higher is better.

    Raises:
        TypeError: If scores are not floating point.
        ValueError: If there are no samples of a kind, a score is NaN, or ``positive`` is unknown.

    Example:
        >>> aupr(torch.tensor([0.1, 0.2]), torch.tensor([0.2, 0.9]))
        tensor(0.8333, dtype=torch.float64)

    Reference:
        Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution examples in neural
        networks", ICLR 2017, https://arxiv.org/abs/1610.02136, section 3.1.

    Differs from the paper: steps instead of linear interpolation between points, which would be too optimistic; equal
        to scikit-learn's ``average_precision_score``.
    """
    check_choice("positive", positive, POSITIVES)
    return aupr_of_counts(score_counts(id_scores, ood_scores), positive=positive)


@documented
def fpr_at_tpr(id_scores: Given[Confidence], ood_scores: Given[OtherConfidence], *, tpr: float = 0.95) -> Scalar:
    """Measure the share of in-distribution samples flagged by the threshold that finds ``tpr`` of the others.

    Args:
        tpr: Share of out-of-distribution samples to be found at least, in (0, 1].

    Returns:
        A float64 scalar in [0, 1], lower is better; 1 where all scores are equal.

    Raises:
        TypeError: If scores are not floating point.
        ValueError: If there are no samples of a kind, a score is NaN, or ``tpr`` is out of range.

    Example:
        >>> fpr_at_tpr(torch.tensor([0.1, 0.2]), torch.tensor([0.2, 0.9]), tpr=0.5)
        tensor(0., dtype=torch.float64)

    Reference:
        Liang, Li and Srikant, "Enhancing the reliability of out-of-distribution image detection in neural networks",
        ICLR 2018, https://arxiv.org/abs/1706.02690, section 3.

    Differs from the paper: there in-distribution is the positive kind. Here out-of-distribution is, as in the OpenOOD
        and pytorch-ood benchmarks; exchange and negate the scores for the other.
    """
    check_number("tpr", tpr, low=0.0, high=1.0, open_low=True)
    return fpr_of_counts(score_counts(id_scores, ood_scores), tpr=tpr)


@documented
def roc_curve(id_scores: Given[Confidence], ood_scores: Given[OtherConfidence]) -> RocCurve:
    """Trace the points of the receiver operating characteristic curve, one per distinct score.

    Returns:
        The curve, from (0, 0) to (1, 1).

    Example:
        >>> roc_curve(torch.tensor([0.1]), torch.tensor([0.9])).true_positive_rate
        tensor([0., 1., 1.], dtype=torch.float64)
    """
    counts = score_counts(id_scores, ood_scores)
    values = torch.unique(torch.cat([id_scores.double(), ood_scores.double()])).flip(0)
    first = values.new_tensor([torch.inf])
    return RocCurve(
        false_positive_rate=torch.cat([first.new_zeros(1), counts.id_above / counts.id_above[-1]]),
        true_positive_rate=torch.cat([first.new_zeros(1), counts.ood_above / counts.ood_above[-1]]),
        threshold=torch.cat([first, values]),
    )


def check_scores(name: str, scores: Tensor) -> None:
    """Raise unless ``scores`` is a non-empty vector of floating-point numbers without NaN."""
    check_vector(name, scores)
    if scores.isnan().any():
        raise InvalidValueError(f"`{name}` must not be NaN, got NaN at position {int(scores.isnan().nonzero()[0])}.")


def score_groups(id_scores: Confidence, ood_scores: OtherConfidence) -> tuple[Tensor, Tensor, int]:
    """Number the distinct scores from the highest down; give each sample's number and how many there are."""
    check_scores("id_scores", id_scores)
    check_scores("ood_scores", ood_scores)
    values, index = torch.unique(torch.cat([id_scores.double(), ood_scores.double()]), return_inverse=True)
    index = values.numel() - 1 - index
    return index[: id_scores.numel()], index[id_scores.numel() :], values.numel()


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Both kinds of samples counted per distinct score, from the highest down; float64 holds the counts exactly.

    Attributes:
        id_count: In-distribution samples per score, shape (…, k).
        ood_count: Out-of-distribution samples per score, shape (…, k).
        id_above: In-distribution samples of at least each score, shape (…, k).
        ood_above: Out-of-distribution samples of at least each score, shape (…, k).
    """

    id_count: Tensor
    ood_count: Tensor
    id_above: Tensor
    ood_above: Tensor


def cumulated(id_count: Tensor, ood_count: Tensor) -> ScoreCounts:
    """Complete counts per score, shape (…, k), by their running totals."""
    id_count, ood_count = id_count.double(), ood_count.double()
    return ScoreCounts(id_count, ood_count, id_count.cumsum(-1), ood_count.cumsum(-1))


def score_counts(id_scores: Confidence, ood_scores: OtherConfidence) -> ScoreCounts:
    """Count both kinds of samples per distinct score, from the highest down."""
    id_group, ood_group, n_groups = score_groups(id_scores, ood_scores)
    return cumulated(torch.bincount(id_group, minlength=n_groups), torch.bincount(ood_group, minlength=n_groups))


def auroc_of_counts(counts: ScoreCounts) -> Tensor:
    """Compute the AUROC of counts, shape (…, k) to (…)."""
    wins = (counts.id_count * (counts.ood_above - 0.5 * counts.ood_count)).sum(-1)
    return wins / (counts.id_above[..., -1] * counts.ood_above[..., -1])


def aupr_of_counts(counts: ScoreCounts, *, positive: str) -> Tensor:
    """Average the precision of counts over the recall, shape (…, k) to (…)."""
    if positive == "ood":
        hits, true, found = counts.ood_count, counts.ood_above, counts.ood_above + counts.id_above
    else:
        # From the lowest score up: the samples of at most each score.
        hits = counts.id_count
        true = counts.id_above[..., -1:] - counts.id_above + counts.id_count
        found = true + (counts.ood_above[..., -1:] - counts.ood_above + counts.ood_count)
    return (hits * true / found.clamp_min(1)).sum(-1) / hits.sum(-1)


def fpr_of_counts(counts: ScoreCounts, *, tpr: float) -> Tensor:
    """Find the false positive rate at the first score that reaches ``tpr``, shape (…, k) to (…)."""
    n_ood = int(counts.ood_above[..., -1].max())
    needed = math.ceil(tpr * n_ood)
    needed -= (needed - 1) / n_ood >= tpr  # the product may have been rounded up beyond a whole number
    place = torch.searchsorted(counts.ood_above, torch.full_like(counts.ood_above[..., :1], needed))
    return (counts.id_above.gather(-1, place) / counts.id_above[..., -1:]).squeeze(-1)
