# SPDX-License-Identifier: Apache-2.0
"""Margin-based label smoothing: cross-entropy with a penalty on logits too far below the largest."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import can_read, check_number, traced
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.cross_entropy import output_dtype
from adafocal.losses.derived import Derived, Kept
from adafocal.losses.reduced import constant, cross_entropy_with_slope
from adafocal.losses.reduction import weighted
from adafocal.losses.targets import class_axis

__all__ = ["MarginSmoothingLoss"]


def margin_penalty(logits: Logits, *, margin: float) -> PerSample:
    """Average over classes by how much a logit lies further than ``margin`` below the largest; masked ones add 0."""
    axis = class_axis(logits)
    return penalty_formula(logits, margin, axis) if traced() else _Penalty(margin, axis)(logits)


def penalty_formula(logits: Tensor, margin: float, axis: int) -> Tensor:
    """Compute the penalty as a plain graph."""
    distance = logits.amax(dim=axis, keepdim=True) - torch.where(logits > -torch.inf, logits, torch.inf)
    return F.relu(distance - margin).mean(dim=axis)


class _Penalty(Derived):
    """The penalty: keeps which logits lie too low, if any do."""

    def __init__(self, margin: float, axis: int) -> None:
        self.margin, self.axis = margin, axis

    def formula(self, x: Tensor) -> Tensor:
        """Compute it as a plain graph."""
        return penalty_formula(x, self.margin, self.axis)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute it, the largest logits, and which lie too low."""
        largest = x.amax(dim=self.axis, keepdim=True)
        excess = ((largest - self.margin) - x).nan_to_num_(nan=math.nan, posinf=0.0, neginf=-math.inf).relu_()
        penalty = excess.mean(dim=self.axis)
        none = can_read(penalty) and not penalty.count_nonzero()
        return penalty, (None, None) if none else (largest, excess.sign_())

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative."""
        largest, low = kept
        if low is None:
            return torch.zeros_like(x)
        step = grad.unsqueeze(self.axis) / x.shape[self.axis]
        slope = torch.eq(x, largest, out=torch.empty_like(low))  # equal logits share, as in the graph
        share = low.sum(dim=self.axis, keepdim=True) * step / slope.sum(dim=self.axis, keepdim=True)
        return slope.mul_(share).addcmul_(low, step, value=-1.0)


class MarginSmoothingLoss(ClassificationLoss):
    """Penalise logits that lie further than a margin below the largest one (margin-based label smoothing, MbLS).

    Label smoothing pushes all logits together; this lets them differ up to the margin, and only then pulls.

    Formula: ``ce + penalty_weight mean_c max(0, max_k z_k - z_c - margin)``; a class masked with -inf adds nothing.

    Args:
        margin: Distance of logits that costs nothing, >= 0.
        penalty_weight: Factor of the penalty, >= 0; 0 is cross-entropy.

    Example:
        >>> criterion = MarginSmoothingLoss(margin=1.0, penalty_weight=1.0)
        >>> criterion(torch.tensor([[3.0, 0.0]]), torch.tensor([0]))
        tensor(1.0486)

    Reference:
        Liu, Ben Ayed, Galdran and Dolz, "The devil is in the margin: margin-based label smoothing for network
        calibration", CVPR 2022, https://arxiv.org/abs/2111.15430, equation 6; defaults from the authors' code.

    Differs from the paper: the penalty is the mean over classes, as in the authors' code, where the paper writes a sum.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        margin: float = 10.0,
        penalty_weight: float = 0.1,
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, **options)
        self.margin = check_number("margin", margin, low=0.0)
        self.penalty_weight = check_number("penalty_weight", penalty_weight, low=0.0)

    has_slope = True

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        ce = self.cross_entropy(logits, labels)
        penalty = margin_penalty(at_least_float32(logits), margin=self.margin)
        penalty = weighted(penalty, logits, labels, weight=self.weight, ignore_index=self.ignore_index)
        return ce.add(penalty, alpha=self.penalty_weight).to(output_dtype(logits))

    def with_slope(self, logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Compute losses and their derivative, each a sum of two."""
        ce, _, slope = cross_entropy_with_slope(logits, place)
        penalty, (largest, low) = _Penalty(self.margin, 1).value(logits)
        if largest is not None and low is not None:
            step = self.penalty_weight / logits.shape[1]
            top = torch.eq(logits, largest, out=torch.empty_like(low))  # equal logits share, as in the graph
            share = low.sum(dim=1, keepdim=True).div_(top.sum(dim=1, keepdim=True))
            slope.addcmul_(top, share, value=step).sub_(low, alpha=step)
        losses = ce.add_(penalty.unsqueeze(1), alpha=self.penalty_weight)
        return losses, slope.mul_(constant(factor, slope.dtype))


add_loss(
    name="mbls",
    title="Margin-based label smoothing",
    cls=MarginSmoothingLoss,
    formula="-log p + λ mean_c max(0, max_k z_k - z_c - m)",
    paper="Liu et al., CVPR 2022, arXiv:2111.15430",
    year=2022,
    use="Label smoothing that leaves logits free up to a margin.",
)
