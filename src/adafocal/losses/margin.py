# SPDX-License-Identifier: Apache-2.0
"""Margin-based label smoothing: cross-entropy with a penalty on logits too far below the largest."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from typing_extensions import Unpack

from adafocal._checks import check_number, traced
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.cross_entropy import output_dtype
from adafocal.losses.targets import class_axis

__all__ = ["MarginSmoothingLoss"]


def margin_penalty(logits: Logits, *, margin: float) -> PerSample:
    """Average over classes by how much a logit lies further than ``margin`` below the largest; masked ones add 0."""
    axis = class_axis(logits)
    if traced():
        return penalty_formula(logits, margin, axis)
    penalty: Tensor = _Penalty.apply(logits, margin, axis)  # type: ignore[no-untyped-call]
    return penalty


def penalty_formula(logits: Tensor, margin: float, axis: int) -> Tensor:
    """Compute the penalty as a plain graph."""
    distance = logits.amax(dim=axis, keepdim=True) - torch.where(logits > -torch.inf, logits, torch.inf)
    return F.relu(distance - margin).mean(dim=axis)


class _Penalty(Function):
    """Optimise :func:`penalty_formula`: keeps which logits lie too low, and no graph."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, margin: float, axis: int) -> Tensor:
        largest = logits.amax(dim=axis, keepdim=True)
        excess = ((largest - margin) - logits).nan_to_num_(nan=math.nan, posinf=0.0, neginf=-math.inf).relu_()
        penalty = excess.mean(dim=axis)
        ctx.save_for_backward(logits, largest, excess.sign_())
        ctx.margin, ctx.axis = margin, axis
        return penalty

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        logits, largest, low = ctx.saved_tensors
        axis, grad = ctx.axis, grad.unsqueeze(ctx.axis)
        if torch.is_grad_enabled():  # double backward: the derivative must be differentiable itself
            formula = penalty_formula(logits, ctx.margin, axis)
            return torch.autograd.grad(formula, logits, grad.squeeze(axis), create_graph=True)[0], None, None
        step = grad / logits.shape[axis]
        slope = torch.eq(logits, largest, out=torch.empty_like(low))  # equal logits share, as in the graph
        share = low.sum(dim=axis, keepdim=True) * step / slope.sum(dim=axis, keepdim=True)
        return slope.mul_(share).addcmul_(low, step, value=-1.0), None, None


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

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        ce = self.cross_entropy(logits, labels)
        penalty = margin_penalty(at_least_float32(logits), margin=self.margin)
        return (ce + self.penalty_weight * penalty * self.sample_weights(logits, labels)).to(output_dtype(logits))


add_loss(
    name="mbls",
    title="Margin-based label smoothing",
    cls=MarginSmoothingLoss,
    formula="-log p + λ mean_c max(0, max_k z_k - z_c - m)",
    paper="Liu et al., CVPR 2022, arXiv:2111.15430",
    year=2022,
    use="Label smoothing that leaves logits free up to a margin.",
)
