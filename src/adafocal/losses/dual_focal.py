# SPDX-License-Identifier: Apache-2.0
"""Dual focal loss: cross-entropy weighted by the distance between p_true and the next lower probability."""

import math
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import check_class_axis, check_number
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss, EntryOptions, OtherOptions, SampleOptions, linear_loss
from adafocal.losses.catalogue import add_loss
from adafocal.losses.cross_entropy import as_rows, modulated_cross_entropy
from adafocal.losses.focal_family import SLOPES
from adafocal.losses.modulate import SMALLEST_BASE, Gamma, focal_with_slope, gamma_at, power
from adafocal.losses.reduced import cross_entropy_with_slope

__all__ = ["DualFocalLoss", "dual_focal_loss"]


def modulate_dual(ce: Tensor, *, logits: Tensor, labels: Tensor, gamma: Gamma) -> Tensor:
    """Weight cross-entropy by ``base^|gamma|``: base 1 - (p - q), 1 + (p - q) for gamma < 0, and q = p exp(-gap)."""
    gap = _gap_below_each_class(logits) if ce.ndim == logits.ndim else _gap_below_label(logits, labels)
    p, q = torch.exp(-ce), torch.exp(-ce - gap)
    margin = p * -torch.expm1(-gap)
    value = gamma_at(gamma, margin.detach())
    base = _base(margin, q - torch.expm1(-ce), value)
    return power(base.clamp_min(SMALLEST_BASE), value) * ce


def _base(margin: Tensor, focal: Tensor, gamma: float | Tensor) -> Tensor:
    if isinstance(gamma, Tensor):
        return torch.where(gamma < 0, 1.0 + margin, focal)
    return 1.0 + margin if gamma < 0 else focal


def _gap_below_label(logits: Tensor, labels: Tensor) -> Tensor:
    """Measure how far the label's logit lies above the largest one strictly below it; infinite if it is the lowest."""
    rows = as_rows(logits)
    label = labels.flatten().long().clamp(0, rows.shape[1] - 1).unsqueeze(1)
    gap, rival = _next_lower(rows.detach(), label)  # takes no part in the gradient; the two logits that it finds do
    truth, second = rows.gather(1, torch.cat([label, rival], dim=1)).unbind(dim=1)
    return torch.where(gap.squeeze(1) < torch.inf, truth - second, torch.inf).view_as(labels)


def _next_lower(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Find how far the largest logit strictly below that of the label lies, and which it is; classes are second."""
    # Logits that are not lower are infinitely far; a threshold, which `where` would take five times as long for.
    far = F.threshold(logits.gather(1, label) - logits, 0.0, math.inf, inplace=True)
    gap, rival = far.min(dim=1, keepdim=True)
    return gap.nan_to_num_(nan=math.inf, posinf=math.inf), rival  # NaN where the label is masked, and another class


def _gap_below_each_class(logits: Tensor) -> Tensor:
    axis = min(1, logits.ndim - 1)
    values = logits.movedim(axis, -1).contiguous()
    ascending = values.sort(dim=-1).values
    position = torch.searchsorted(ascending.detach(), values.detach()) - 1  # of the largest strictly lower
    below = ascending.gather(-1, position.clamp_min(0))
    found = (position >= 0) & (below > -torch.inf)
    return torch.where(found, values - below, torch.inf).movedim(-1, axis)


def dual_with_slope(logits: Tensor, place: Tensor, factor: float, *, gamma: Gamma) -> tuple[Tensor, Tensor]:
    """Compute dual focal losses and their derivative, by the cross-entropy and by the next lower logit."""
    ce, minus_q, slope = cross_entropy_with_slope(logits, place)
    gap, rival = _next_lower(logits, place)
    _, losses, (by_ce, by_rival) = focal_with_slope(ce, minus_q, gamma, gap.add_(ce).neg_().exp_(), factor=factor)
    slope.mul_(by_ce)
    return losses, slope.scatter_add_(1, rival, by_rival).scatter_add_(1, place, by_rival.neg())


SLOPES[modulate_dual] = dual_with_slope


@linear_loss
def dual_focal_loss(logits: Logits, labels: Labels, *, gamma: float, **options: Unpack[EntryOptions]) -> PerSample:
    """Weight cross-entropy down where the truth stands clear of the class below it.

    Where focal loss looks at p_true alone, this asks for a gap to the next lower probability, which counters the
    under-confidence that focal loss can end in.

    Formula: ``-(1 - p + q)^gamma log p`` with p the softmax probability of the label and q the largest probability that
    is strictly lower, 0 if there is none. Gamma 0 is cross-entropy. The gradient flows through p and q. For soft
    targets y it is ``sum_c y_c`` times the loss of class c.

    Args:
        gamma: Focusing parameter; a negative one is the inverse form ``-(1 + p - q)^|gamma| log p``.

    Example:
        >>> dual_focal_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]), gamma=2.0)
        tensor([0.0072])

    Reference:
        Tao, Dong and Xu, "Dual focal loss for calibration", ICML 2023, https://arxiv.org/abs/2305.13665, section 3.
    """
    check_number("gamma", gamma)
    return modulated_cross_entropy(
        dual_modulation(logits, labels, gamma), logits, labels, **cast(SampleOptions, options)
    )


def dual_modulation(logits: Logits, labels: Labels, gamma: Gamma) -> Callable[[Tensor], Tensor]:
    """Build the transform of cross-entropy that makes the dual focal loss of these logits.

    ``gamma`` may be a rule of the probability margin p - q. The transform serves both forms of
    :func:`modulated_cross_entropy`: one cross-entropy per sample, or one per sample and class.
    """
    check_class_axis("logits", logits)
    return partial(modulate_dual, logits=at_least_float32(logits), labels=labels, gamma=gamma)


class DualFocalLoss(ClassificationLoss):
    """Dual focal loss as a module; see :func:`dual_focal_loss` for the formula.

    Args:
        gamma: Focusing parameter, >= 0; the paper uses 5 for ResNet-50 on CIFAR-10 and CIFAR-100, 2.3 on Tiny-ImageNet.

    Example:
        >>> criterion = DualFocalLoss(gamma=2.0)
        >>> criterion(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.0072)

    Reference:
        Tao, Dong and Xu, "Dual focal loss for calibration", ICML 2023, https://arxiv.org/abs/2305.13665, section 3.

    Differs from the paper: the authors sum the loss over the batch, here ``reduction`` defaults to ``mean``. Soft
    targets, which they do not treat, are taken class by class.
    """

    def __init__(self, weight: Tensor | None = None, *, gamma: float = 5.0, **options: Unpack[OtherOptions]) -> None:
        super().__init__(weight, **options)
        self.gamma = check_number("gamma", gamma, low=0.0)

    has_slope = True
    linear = True

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        return self.modulated(dual_modulation(logits, labels, self.gamma), logits, labels)

    def with_slope(self, logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Compute losses and their derivative."""
        return dual_with_slope(logits, place, factor, gamma=self.gamma)


add_loss(
    name="dual_focal",
    title="Dual focal (γ = 5)",
    cls=DualFocalLoss,
    formula="-(1 - p + q)^γ log p, q the next lower probability",
    paper="Tao et al., ICML 2023, arXiv:2305.13665",
    year=2023,
    use="Where focal loss ends under-confident; needs its γ per model and data set.",
)
