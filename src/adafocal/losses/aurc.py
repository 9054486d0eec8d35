# SPDX-License-Identifier: Apache-2.0
"""Losses that weight cross-entropy by the rank of confidence, after the area under the risk-coverage curve."""

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import check_choice, check_floating, check_number, check_same_shape, check_tensor
from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, Correct, Labels, Logits, PerSample
from adafocal.errors import InvalidValueError
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.confidence import SCORES, confidence_score
from adafocal.losses.cross_entropy import output_dtype
from adafocal.losses.decayed_sum import decayed_sum
from adafocal.losses.reduction import sample_weights
from adafocal.selective.weights import weight_of_rank

__all__ = ["AURCLoss", "soft_rank"]

RANK_WEIGHTS = ("soft", "harmonic", "ln", "sele")


def soft_rank(values: Confidence, *, temperature: float, counted: Correct | None = None) -> PerSample:
    """Rank values in ascending order, differentiably, in O(N log N) time and O(N) memory.

    Formula: ``r_i = 1/2 + sum_j S((v_i - v_j) / temperature)`` with the smooth step S(x) = 1 - exp(-x) / 2 for x >= 0
    and exp(x) / 2 below. As ``temperature`` goes to 0 the ranks become 1 … N, ties sharing their mean rank; they always
    sum to N (N + 1) / 2.

    Args:
        values: Shape (N,).
        temperature: Scale on which values count as close, > 0, in the unit of ``values``.
        counted: Which values to rank, shape (N,); all by default. The others take no part, and get some rank.

    Returns:
        Ranks in (0, N + 1), shape (N,), in the dtype of ``values``.

    Raises:
        TypeError: If ``values`` is not a floating-point tensor.
        ValueError: If ``values`` has more axes, ``counted`` another shape, or ``temperature`` is not positive.

    Example:
        >>> soft_rank(torch.tensor([0.9, 0.1, 0.5]), temperature=0.01)
        tensor([3., 1., 2.])

    Differs from the paper: Zhou et al. use the fast soft ranking of Blondel et al. (ICML 2020,
    https://arxiv.org/abs/2002.08871), a projection by isotonic regression that is exactly hard, without gradient, where
    values are far apart. A sum of smooth steps has a gradient everywhere, and needs no solver.
    """
    check_floating("values", values)
    if values.ndim != 1:
        raise InvalidValueError(f"`values` must have shape (N,), got {tuple(values.shape)}.")
    if counted is not None:
        check_tensor("counted", counted)
        check_same_shape("counted", counted, "values", values)
    check_number("temperature", temperature, low=0.0, open_low=True)
    x = values.to(wide_dtype(values.device)) / temperature
    if counted is not None and values.numel() > 0:
        x = torch.where(counted, x, x.detach().amax() + 100.0)  # above all others, and too far to be felt
    order = x.detach().argsort()
    ascending = x[order]
    # Sorted, the steps towards smaller and larger values are two running sums of exponentials.
    below, above = decayed_sum(ascending), decayed_sum(ascending.neg().flip(0)).flip(0)
    rank = torch.arange(1, len(x) + 1, dtype=x.dtype, device=x.device) - 0.5 * (below - above)
    return rank[order.argsort()].to(values.dtype)


def hard_rank(values: Confidence, *, counted: Correct) -> PerSample:
    """Rank values in ascending order, 1 … n over those counted; equal values share their mean rank. No gradient."""
    keys = torch.where(counted, values.detach(), torch.inf)
    ascending = keys.sort().values
    first, after = torch.searchsorted(ascending, keys), torch.searchsorted(ascending, keys, right=True)
    return (first + after + 1) / 2


class AURCLoss(ClassificationLoss):
    """Cross-entropy mixed with its confidence-ranked form: errors of confident samples cost most (regularized AURC).

    It resembles inverse focal loss. Ranks are taken within the batch, all pixels of a dense batch together, so small
    batches give coarse weights. Ignored samples take no rank.

    Formula: ``(1 - mixing + mixing alpha_i) ce_i``, alpha_i the weight of the rank of sample i's confidence; see
    :func:`~adafocal.selective.rank_weights`.

    Args:
        mixing: Share of the ranked form, in [0, 1]; 0 is cross-entropy. The authors tune it between 0.2 and 0.9.
        rank_weights: ``soft`` (the ln weight of a differentiable rank, which adds a gradient through confidence), or
            ``harmonic``, ``ln`` or ``sele`` weights of the exact rank, constant to the gradient.
        temperature: Scale of the soft rank, > 0, in the unit of the score.
        score: How confidence is scored; see :func:`confidence_score`.

    Example:
        >>> criterion = AURCLoss(mixing=1.0, rank_weights="harmonic", reduction="none")
        >>> criterion(torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([0, 1]))
        tensor([0.1566, 4.5729])

    Reference:
        Zhou, Gruber, Popordanoska and Blaschko, "Revisiting reweighted risk for calibration: AURC, focal loss, and
        inverse focal loss", 2025, https://arxiv.org/abs/2505.23463v2.

    Differs from the paper: the rank is divided by the number of samples that count, not by a fixed batch size; for the
    soft rank see :func:`soft_rank`, whose temperature is not the strength of theirs. Equal confidences share a rank.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        mixing: float = 0.3,
        rank_weights: str = "soft",
        temperature: float = 0.02,
        score: str = "neg_entropy",
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, **options)
        self.mixing = check_number("mixing", mixing, low=0.0, high=1.0)
        self.rank_weights = check_choice("rank_weights", rank_weights, RANK_WEIGHTS)
        self.temperature = check_number("temperature", temperature, low=0.0, open_low=True)
        self.score = check_choice("score", score, tuple(SCORES))

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        ce = self.cross_entropy(logits, labels)
        counted = sample_weights(logits, labels, weight=None, ignore_index=self.ignore_index).flatten() > 0
        confidence = confidence_score(logits, score=self.score).flatten()
        alpha = self._alpha(confidence, counted).view_as(ce).to(ce.dtype)
        return ((1.0 - self.mixing + self.mixing * alpha) * ce).to(output_dtype(logits))

    def _alpha(self, confidence: Tensor, counted: Tensor) -> Tensor:
        n = counted.sum()
        if self.rank_weights == "soft":
            rank, kind = soft_rank(confidence, temperature=self.temperature, counted=counted), "ln"
        else:
            rank, kind = hard_rank(confidence, counted=counted).to(wide_dtype(confidence.device)), self.rank_weights
        return weight_of_rank(torch.where(counted, rank, 0.0), n, kind=kind)


add_loss(
    name="aurc",
    title="Regularized AURC",
    cls=AURCLoss,
    formula="-(1 - m + m α_i) log p, α_i = -ln(1 - rank_i / (n + 1)) of confidence in the batch",
    paper="Zhou et al., arXiv:2505.23463v2",
    year=2025,
    use="When confident mistakes cost most, as in selective prediction.",
    pointwise=False,
)
