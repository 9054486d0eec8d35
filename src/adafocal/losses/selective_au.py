# SPDX-License-Identifier: Apache-2.0
"""Selective AU: cross-entropy weighted by the smoothed distribution of confidence, with most care for the unsure."""

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import check_choice, check_integer, check_number
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.calibration.edges import equal_width_edges, find_bins
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.confidence import TO_UNIT, confidence_score
from adafocal.losses.cross_entropy import output_dtype
from adafocal.losses.reduction import sample_weights

__all__ = ["SelectiveAULoss"]


def selective_weights(
    confidence: Tensor, counted: Tensor, histogram: Tensor, *, quantile: float, smoothing: float
) -> Tensor:
    """Compute the positive weight alpha of each confidence, shape (N,); see :class:`SelectiveAULoss`.

    ``histogram`` holds counts of confidences in equal bins of [0, 1], shape (n_bins,).
    """
    n_bins, n = histogram.numel(), counted.sum()
    threshold = _quantile(confidence, counted, quantile)
    centres = (torch.arange(n_bins, dtype=confidence.dtype, device=confidence.device) + 0.5) / n_bins
    steps = torch.sigmoid((torch.minimum(confidence, threshold).unsqueeze(1) - centres) / smoothing)
    share = steps @ (histogram / histogram.sum().clamp_min(1)).to(confidence.dtype)
    return -torch.log1p(-share.clamp(1 / (n + 1), n / (n + 1)))


def _quantile(values: Tensor, counted: Tensor, level: float) -> Tensor:
    """Interpolate the quantile of the values that count; 2 where there is none."""
    above_all = values.new_full((1,), 2.0)
    ascending = torch.cat([torch.where(counted, values, 2.0), above_all]).sort().values
    position = (level * (counted.sum() - 1)).clamp_min(0).to(values.dtype).reshape(1)
    low, high = (ascending.index_select(0, end.long()) for end in (position.floor(), position.ceil()))
    return torch.lerp(low, high, position - position.floor())


class SelectiveAULoss(ClassificationLoss):
    """Weight cross-entropy by confidence rank among the unsure samples, and evenly above a quantile of confidence.

    Ranks come from a histogram of the confidences seen in training since the last :meth:`reset`, so they grow steadier
    than a batch allows, in O(n_bins) memory; ignored samples do not enter it. Call :meth:`reset` when an epoch starts.
    In ``eval`` mode the histogram is read, together with the batch, and not changed.

    Formula: ``alpha_i ce_i`` with ``alpha_i = -ln(1 - G(min(c_i, tau)))``, c_i the confidence in [0, 1], tau its batch
    quantile and ``G(c) = sum_k n_k sigmoid((c - m_k) / smoothing) / sum_k n_k`` over bins with centres m_k and counts
    n_k, kept within [1 / (n + 1), n / (n + 1)] for a batch of n. The gradient flows through G and tau.

    Args:
        quantile: Level of the quantile tau, in [0, 1].
        smoothing: Width sigma of the smoothed steps, > 0, a difference of confidences.
        n_bins: Number of histogram bins.
        score: How confidence is scored: ``msp``, ``neg_entropy``, ``margin``, ``l2_norm`` or ``neg_gini``, moved to
            [0, 1].

    Attributes:
        count: Confidences per bin since the last reset, int64, shape (n_bins,).

    Example:
        >>> criterion = SelectiveAULoss(reduction="none")
        >>> criterion(torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([0, 1]))
        tensor([0.1270, 2.1118])

    Reference:
        Zhou, Gruber, Popordanoska and Blaschko, "Revisiting reweighted risk for calibration", 2025, version 4,
        https://arxiv.org/abs/2505.23463; bins, smoothing and default quantile from the authors' code.

    Differs from the paper: the published code applies softmax twice before scoring some confidences, and bounds G by a
    fixed batch size; here the score is computed once and n is the number of samples that count. With ``msp`` computed
    once, networks trained from scratch tend to stay undecided, as confidence above the batch's raises the weight faster
    than it lowers the cross-entropy (docs/results.md): hence the default score, the negative entropy.
    """

    count: Tensor

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        quantile: float = 0.5,
        smoothing: float = 0.05,
        n_bins: int = 64,
        score: str = "neg_entropy",
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, **options)
        self.quantile = check_number("quantile", quantile, low=0.0, high=1.0)
        self.smoothing = check_number("smoothing", smoothing, low=0.0, open_low=True)
        self.n_bins = check_integer("n_bins", n_bins, minimum=1)
        self.score = check_choice("score", score, tuple(TO_UNIT))
        self.register_buffer("count", torch.zeros(n_bins, dtype=torch.int64))

    def reset(self) -> None:
        """Empty the histogram; call it when an epoch starts."""
        self.count.zero_()

    def set_epoch(self, epoch: int) -> None:
        """Empty the histogram, as losses that follow the epochs are told to at each one's start."""
        check_integer("epoch", epoch, minimum=0)
        self.reset()

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample, and in training mode add its confidence to the histogram."""
        ce = self.cross_entropy(logits, labels)
        counted = sample_weights(logits, labels, weight=None, ignore_index=self.ignore_index).flatten() > 0
        confidence = confidence_score(logits, score=self.score, unit=True).flatten()
        alpha = selective_weights(
            confidence, counted, self._histogram(confidence, counted), quantile=self.quantile, smoothing=self.smoothing
        )
        return (alpha.view_as(ce) * ce).to(output_dtype(logits))

    @torch.no_grad()
    def _histogram(self, confidence: Tensor, counted: Tensor) -> Tensor:
        edges = equal_width_edges(self.n_bins, dtype=confidence.dtype, device=confidence.device)
        batch = torch.zeros_like(self.count).index_add(0, find_bins(confidence, edges), counted.long())
        if not self.training:
            return self.count + batch
        self.count += batch
        return self.count.clone()


add_loss(
    name="selective_au",
    title="Selective AU",
    cls=SelectiveAULoss,
    formula="-α_i log p, α_i = -ln(1 - G(min(c_i, τ))), G the smoothed distribution of confidence",
    paper="Zhou et al., arXiv:2505.23463v4",
    year=2025,
    use="As regularized AURC, with care moved to the unsure samples; call reset when an epoch starts.",
    pointwise=False,
)
