# SPDX-License-Identifier: Apache-2.0
"""Losses that weight cross-entropy by the rank of confidence, after the area under the risk-coverage curve."""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import can_read, check_choice, check_floating, check_number, check_same_shape, check_tensor
from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, Correct, Labels, Logits, PerSample
from adafocal.calibration.ascending import ascending_places
from adafocal.errors import InvalidValueError
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.confidence import SCORES, confidence_score
from adafocal.losses.cross_entropy import output_dtype
from adafocal.losses.decayed_sum import decayed_sum
from adafocal.losses.derived import Derived, Kept
from adafocal.losses.pair_sums import WIDEST, PairSums
from adafocal.losses.reduction import sample_weights
from adafocal.selective.weights import weight_of_rank

__all__ = ["AURCLoss", "soft_rank"]

FAR = 100.0  # so many temperatures away nothing is felt
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
    # Two running sums serve where both fit into float64; a NaN fails every comparison.
    known = values.detach()
    narrow = can_read(known) and len(known) > 0 and float(known.amax() - known.amin()) <= WIDEST * temperature
    return _SoftRank(temperature, counted)(values) if narrow else rank_formula(values, temperature, counted)


def rank_formula(x: Tensor, temperature: float, counted: Correct | None) -> Tensor:
    """Compute soft ranks as a plain graph, for values of any range."""
    wide = x.to(wide_dtype(x.device)) / temperature
    if counted is not None and x.numel() > 0:
        wide = torch.where(counted, wide, wide.detach().amax() + FAR)  # above all others, too far to be felt
    order = wide.detach().argsort()
    ordered = wide[order]
    # Sorted, the steps towards smaller and larger values are two running sums of exponentials.
    below, above = decayed_sum(ordered), decayed_sum(ordered.neg().flip(0)).flip(0)
    rank = torch.arange(1, len(x) + 1, dtype=wide.dtype, device=x.device) - 0.5 * (below - above)
    return rank[order.argsort()].to(x.dtype)


class _SoftRank(Derived):
    """The ranks of :func:`soft_rank`; ``value`` and ``slope`` take values with a range of ``WIDEST`` temperatures."""

    def __init__(self, temperature: float, counted: Correct | None) -> None:
        self.temperature, self.counted = temperature, counted

    def formula(self, x: Tensor) -> Tensor:
        """Compute them as a plain graph, for any range."""
        return rank_formula(x, self.temperature, self.counted)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute them, the order of the values, and the running sums in this order."""
        wide = x.double() / self.temperature
        if self.counted is None or self.counted.all():
            order = ascending_places(x.detach())[1]
        else:
            order = ascending_places(x.detach().masked_fill(~self.counted, torch.inf))[1]
            wide.masked_fill_(~self.counted, float(wide.amax()) + FAR)
        ordered = wide.index_select(0, order)
        sums = PairSums(ordered)
        below, above = sums.below(), sums.above()
        rank = torch.arange(1, len(x) + 1, dtype=wide.dtype).sub_(below - above, alpha=0.5)
        return torch.empty_like(x).scatter_(0, order, rank.to(x.dtype)), (order, ordered, below.add_(above))

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative, half the kernel exp(-|difference|) of each pair, over the temperature."""
        order, ordered, both = kept
        sums, sent = PairSums(ordered), grad.double().index_select(0, order)
        slope = (both * sent).sub_(sums.below(sent)).sub_(sums.above(sent)).mul_(0.5 / self.temperature)
        slope = torch.empty_like(x).scatter_(0, order, slope.to(x.dtype))
        return slope if self.counted is None else slope.mul_(self.counted)


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
