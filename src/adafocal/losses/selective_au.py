# SPDX-License-Identifier: Apache-2.0
"""Selective AU: cross-entropy weighted by the smoothed distribution of confidence, with most care for the unsure."""

import math
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import can_read, check_choice, check_integer, check_number
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.calibration.ascending import ascending
from adafocal.calibration.edges import assign_equal_width_bins
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.confidence import TO_UNIT, confidence_score
from adafocal.losses.cross_entropy import output_dtype
from adafocal.losses.derived import Derived, Kept
from adafocal.losses.reduction import sample_weights

__all__ = ["SelectiveAULoss"]


NODES = 128  # of the table for each smoothing width: its error, below 1e-11, is far below the rounding of float32
IN_CACHE = 1 << 16  # confidences at a time
STEPS_AT_ONCE = 1 << 20


def selective_weights(
    confidence: Tensor, counted: Tensor, histogram: Tensor, *, quantile: float, smoothing: float
) -> Tensor:
    """Compute the positive weight alpha of each confidence, shape (N,); see :class:`SelectiveAULoss`.

    ``histogram`` holds counts of confidences in equal bins of [0, 1], shape (n_bins,).
    """
    share = (histogram / histogram.sum().clamp_min(1)).to(confidence.dtype)
    if can_read(confidence):
        return _Weights(share, counted, quantile=quantile, smoothing=smoothing)(confidence)
    return weights_formula(confidence, share, counted, quantile, smoothing)


def weights_formula(x: Tensor, share: Tensor, counted: Tensor, quantile: float, smoothing: float) -> Tensor:
    """Compute the weights as a plain graph, without reading values."""
    limited = torch.minimum(x, _quantile(x, counted, quantile))
    return -torch.log1p(-(_steps(limited, len(share), smoothing) @ share).clamp(*_bounds(counted)))


def _bounds(counted: Tensor) -> tuple[Tensor, Tensor]:
    n = counted.sum()
    return 1 / (n + 1), n / (n + 1)


class _Weights(Derived):
    """``-ln(1 - G(min(c, tau)))`` of confidences c, of which bins hold ``share``; it reads values.

    As G is as smooth as ``smoothing`` says, a table of it gives that of many samples, piecewise cubic with the values
    and slopes at its nodes. Few samples, and those of float64, get it directly, some at a time.
    """

    def __init__(self, share: Tensor, counted: Tensor, *, quantile: float, smoothing: float) -> None:
        self.share, self.counted, self.quantile, self.smoothing = share, counted, quantile, smoothing

    def formula(self, x: Tensor) -> Tensor:
        """Compute them as a plain graph."""
        return weights_formula(x, self.share, self.counted, self.quantile, self.smoothing)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute them, their slope by min(c, tau), which confidences lie below tau, and which tau lies between."""
        ends, between = _quantile_ends(x, self.counted, self.quantile)
        threshold = torch.lerp(x[ends[0]], x[ends[1]], between) if len(ends) else x.new_tensor(2.0)
        share, slope = smoothed_share(torch.minimum(x, threshold), self.share, smoothing=self.smoothing)
        kept = torch.clamp(share, *_bounds(self.counted))
        slope.mul_(torch.eq(kept, share, out=share)).div_(1.0 - kept)
        return kept.neg_().log1p_().neg_(), (slope, torch.lt(x, threshold, out=share), ends, between)

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the slope; what reaches tau goes to the confidences that it lies between."""
        slope, below, ends, between = kept
        grad = _times(grad, slope)
        own = _times(grad, below)
        tau = grad.sub_(own).sum() * torch.stack([1.0 - between, between])
        return own.index_add_(0, ends, tau[: len(ends)])


def _times(grad: Tensor, factor: Tensor) -> Tensor:
    """Multiply; what is infinite, as the gradient of a masked truth is, times 0 is 0."""
    product = grad * factor
    return product if product.sum().isfinite() else product.masked_fill_(factor == 0, 0.0)


def smoothed_share(x: Tensor, share: Tensor, *, smoothing: float) -> tuple[Tensor, Tensor]:
    """Sum smoothed steps at the centres of bins, ``sum_k share_k sigmoid((x - m_k) / smoothing)``, without gradient.

    Args:
        x: Places in [0, 1], shape (N,).
        share: Height of each step, shape (n_bins,).
        smoothing: Width of the steps.

    Returns:
        The sums and their derivatives, shape (N,).
    """
    n_nodes = 2 ** math.ceil(math.log2(NODES / smoothing))
    if x.dtype != torch.float32 or n_nodes > len(x) // 2:
        parts = [_direct(part, share, smoothing) for part in torch.split(x, max(1, STEPS_AT_ONCE // len(share)))]
    else:
        nodes = torch.arange(n_nodes + 1, dtype=torch.float64, device=x.device) / n_nodes
        total, slope = _direct(nodes, share.double(), smoothing)
        rise, first, last = total.diff(), slope[:-1] / n_nodes, slope[1:] / n_nodes
        table = torch.stack([total[:-1], first, 3 * rise - 2 * first - last, first + last - 2 * rise]).float()
        parts = [_looked_up(part, table) for part in torch.split(x, IN_CACHE)]
    totals, slopes = zip(*parts, strict=True)
    return torch.cat(totals), torch.cat(slopes)


def _steps(x: Tensor, n_bins: int, smoothing: float) -> Tensor:
    centres = (torch.arange(n_bins, dtype=x.dtype, device=x.device) + 0.5) / n_bins
    return torch.sigmoid((x.unsqueeze(1) - centres) / smoothing)


def _direct(x: Tensor, share: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    steps = _steps(x, len(share), smoothing)
    with torch.autocast(x.device.type, enabled=False):  # which would multiply in half precision
        return steps @ share, (steps * (1.0 - steps)) @ share / smoothing


def _looked_up(x: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate cubics, of coefficients (4, n_nodes), and their slopes."""
    n_nodes = table.shape[1]
    place = x * n_nodes  # exact: a power of two
    cell = place.long().clamp_(0, n_nodes - 1)
    t = place.sub_(cell)
    a, b, c, d = (row.index_select(0, cell) for row in table)
    slope = torch.addcmul(c, d, t, value=1.5).mul_(t).mul_(2.0).add_(b).mul_(n_nodes)
    return d.mul_(t).add_(c).mul_(t).add_(b).mul_(t).add_(a), slope


def _quantile(values: Tensor, counted: Tensor, level: float) -> Tensor:
    """Interpolate the quantile of the values that count; 2 where there is none."""
    above_all = values.new_full((1,), 2.0)
    ordered = torch.cat([torch.where(counted, values, 2.0), above_all]).sort().values
    position = (level * (counted.sum() - 1)).clamp_min(0).to(values.dtype).reshape(1)
    low, high = (ordered.index_select(0, end.long()) for end in (position.floor(), position.ceil()))
    return torch.lerp(low, high, position - position.floor())


def _quantile_ends(values: Tensor, counted: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Find where the two values stand that the quantile lies between, and how far along; nowhere if none counts."""
    n = int(counted.count_nonzero())
    position = (level * torch.tensor(n - 1)).clamp_min(0).to(values.dtype)
    between = position - position.floor()
    if n == 0:
        return torch.empty(0, dtype=torch.int64), between
    known = values if n == len(values) else values.masked_fill(~counted, 2.0)
    ordered = ascending(known)  # values alone, which takes a fraction of the time of sorting places
    ends = [(known == ordered[int(end)]).view(torch.uint8).argmax() for end in (position.floor(), position.ceil())]
    return torch.stack(ends), between


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
        index = assign_equal_width_bins(confidence, self.n_bins)
        if can_read(index):
            batch = torch.bincount(index if counted.all() else index[counted], minlength=self.n_bins)
        else:
            batch = torch.zeros_like(self.count).index_add(0, index, counted.long())
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
