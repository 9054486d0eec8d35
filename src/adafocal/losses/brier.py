# SPDX-License-Identifier: Apache-2.0
"""The Brier score as a loss, and cross-entropy whose gradient is scaled by it (BSCE-GRA)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import can_read, check_label_values, check_number, traced
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss, OtherOptions, per_sample_loss
from adafocal.losses.catalogue import add_loss
from adafocal.losses.cross_entropy import checked_labels, output_dtype, wide_cross_entropy
from adafocal.losses.derived import Derived, Kept
from adafocal.losses.reduced import constant
from adafocal.losses.reduction import all_counted, weighted
from adafocal.losses.targets import class_axis, soft_target

__all__ = ["BrierLoss", "BrierWeightedLoss", "brier_loss", "brier_weighted_loss"]


@per_sample_loss
def brier_loss(
    logits: Logits,
    labels: Labels,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> PerSample:
    """Measure the squared distance between the predicted distribution and the target.

    A proper loss like cross-entropy, but bounded: one confident mistake cannot dominate a batch. Its gradient vanishes
    for confident mistakes, so training starts slowly with many classes.

    Formula: ``sum_c (p_c - y_c)^2`` with y one-hot, smoothed, or the given class probabilities.

    Args:
        weight: Weight per class, shape (C,); a sample counts as its class, or the mean over its probabilities, does.

    Returns:
        Losses in [0, 2] of shape (), (N,) or (N, d1, …); lower is better.

    Example:
        >>> brier_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor([0.5000])

    Reference:
        Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78, 1950,
        https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    labels = checked_labels(logits, labels, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing)
    if _one_hot(labels, label_smoothing):
        wide = at_least_float32(logits)
        index = _places(wide, labels, ignore_index)
        losses = _SquaredDistance(index, class_axis(logits))(wide)
    else:
        residual = _residual(logits, labels, ignore_index=ignore_index, label_smoothing=label_smoothing)
        losses = residual.square().sum(dim=class_axis(logits))
    losses = weighted(losses, logits, labels, weight=weight, ignore_index=ignore_index)
    return losses.to(output_dtype(logits))


def _residual(logits: Tensor, labels: Tensor, *, ignore_index: int, label_smoothing: float) -> Tensor:
    """Subtract y from p, exact also where p is close to y = 1."""
    wide = at_least_float32(logits)
    log_p = F.log_softmax(wide, dim=class_axis(logits))
    target = soft_target(wide, labels, label_smoothing=label_smoothing, ignore_index=ignore_index)
    return torch.where(target > 0.5, log_p.expm1() + (1.0 - target), log_p.exp() - target)


def _one_hot(labels: Tensor, label_smoothing: float) -> bool:
    """Whether the target is one-hot, and values exist: then a few passes over the logits do."""
    return not (labels.is_floating_point() or label_smoothing > 0.0 or traced())


def _places(logits: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """Where the truth stands, with an axis for the classes; any place will do where the label is ignored."""
    axis = class_axis(logits)
    if can_read(labels):
        check_label_values(labels, logits.shape[axis], ignore_index=ignore_index)
    known = labels if all_counted(labels, ignore_index) else labels.masked_fill(labels == ignore_index, 0)
    return known.long().unsqueeze(axis)


def _one_hot_residual(logits: Tensor, index: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Subtract the one-hot y from p; 1 - p of the truth is the sum of the others, exact also where p is close to 1."""
    return _away_from(F.softmax(logits, dim=axis), index, axis)


def _away_from(p: Tensor, index: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    residual = p.scatter_(axis, index, 0.0)
    missed = residual.sum(dim=axis, keepdim=True)
    return residual.scatter_(axis, index, -missed), missed


class _SquaredDistance(Derived):
    """``||p - y||^2`` of one-hot y: keeps p - y, from which the derivative follows in two passes.

    With r = p - y and s = p · r the derivative by the logits is 2 p (r - s); s is ||r||² - (1 - p of the truth).
    """

    def __init__(self, index: Tensor, axis: int) -> None:
        self.index, self.axis = index, axis

    def formula(self, x: Tensor) -> Tensor:
        """Compute it as a plain graph."""
        target = torch.zeros_like(x, requires_grad=False).scatter_(self.axis, self.index, 1.0)
        return (F.softmax(x, dim=self.axis) - target).square().sum(dim=self.axis)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute it, and p - y."""
        residual, missed = _one_hot_residual(x, self.index, self.axis)
        squared: Tensor = torch.linalg.vector_norm(residual, dim=self.axis, keepdim=True).square()
        return squared.squeeze(self.axis), (residual, missed, squared)

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative."""
        residual, missed, squared = kept
        mean, scale = squared - missed, grad.unsqueeze(self.axis).mul(-2.0)
        # r (r - s), which lacks the r - s of the truth, as p = r + 1 there.
        slope = torch.addcmul(mean * scale, residual, scale, value=-1.0).mul_(residual)
        return slope.scatter_add_(self.axis, self.index, mean.add_(missed).mul_(scale))


def _with_slope(logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Compute Brier scores and their derivative, with m = 1 - p of the truth and the score L.

    The derivative is 2 (p² - p (L - m)) by another logit, and -2 (1 - m) L by that of the truth.
    """
    distance = torch.softmax(logits, 1).scatter_(1, place, 0.0)
    missed = distance.sum(dim=1, keepdim=True)
    slope = distance.scatter_(1, place, missed).square()
    losses = slope.sum(dim=1, keepdim=True)
    slope.addcmul_(distance, losses - missed, value=-1.0).scatter_(1, place, (missed * losses).sub_(losses))
    return losses, slope.mul_(constant(2.0 * factor, slope.dtype))


class BrierLoss(ClassificationLoss):
    """Brier score as a module; see :func:`brier_loss` for the formula.

    Example:
        >>> BrierLoss()(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor(0.5000)

    Reference:
        Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78, 1950,
        https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2. As a training loss for calibration: Mukhoti et
        al., NeurIPS 2020, https://arxiv.org/abs/2002.09437, section 5.
    """

    has_slope = True

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        return brier_loss(logits, labels, **self.options)

    def with_slope(self, logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Compute losses and their derivative."""
        return _with_slope(logits, place, factor)


add_loss(
    name="brier",
    title="Brier",
    cls=BrierLoss,
    formula="Σ_c (p_c - y_c)²",
    paper="Brier, Monthly Weather Review 78, 1950",
    year=1950,
    use="A bounded proper loss, robust to confident mistakes; slow to start with many classes.",
)


@per_sample_loss
def brier_weighted_loss(
    logits: Logits,
    labels: Labels,
    *,
    gamma: float,
    norm: float,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> PerSample:
    """Scale the gradient of cross-entropy by how far the whole prediction is from the target.

    Unlike focal loss the weight sees every class, and no gradient flows through it, so it rescales the gradient of
    cross-entropy exactly.

    Formula: ``-||p - y||^gamma log p_true`` with the norm taken over classes and constant to the gradient.

    Args:
        gamma: Exponent of the weight, >= 0; 0 is cross-entropy.
        norm: Order of the norm, >= 1.

    Example:
        >>> brier_weighted_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([0]), gamma=2.0, norm=2.0)
        tensor([0.3466])

    Reference:
        Lin, Tao, Dong and Xu, "Uncertainty weighted gradients for model calibration", CVPR 2025,
        https://arxiv.org/abs/2503.22725 (BSCE-GRA).
    """
    check_number("gamma", gamma, low=0.0)
    check_number("norm", norm, low=1.0)
    ce = wide_cross_entropy(logits, labels, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing)
    axis, constant = class_axis(logits), at_least_float32(logits.detach())
    residual: Tensor
    if _one_hot(labels, label_smoothing):
        residual, _ = _one_hot_residual(constant, _places(constant, labels, ignore_index), axis)
    else:
        residual = _residual(constant, labels, ignore_index=ignore_index, label_smoothing=label_smoothing)
    distance: Tensor = torch.linalg.vector_norm(residual, norm, dim=axis).pow(gamma)
    return (distance * ce).to(output_dtype(logits))


class BrierWeightedLoss(ClassificationLoss):
    """Cross-entropy with a Brier-scaled gradient (BSCE-GRA) as a module; see :func:`brier_weighted_loss`.

    Args:
        gamma: Exponent of the weight, >= 0; 0 is cross-entropy.
        norm: Order of the norm, >= 1. With the defaults the weight is the Brier score itself.

    Example:
        >>> BrierWeightedLoss()(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor(0.3466)

    Reference:
        Lin, Tao, Dong and Xu, "Uncertainty weighted gradients for model calibration", CVPR 2025,
        https://arxiv.org/abs/2503.22725 (BSCE-GRA).

    Differs from the paper: the authors' code sums over the batch, and its own defaults are the 1-norm and exponent 0.
    """

    def __init__(
        self, weight: Tensor | None = None, *, gamma: float = 2.0, norm: float = 2.0, **options: Unpack[OtherOptions]
    ) -> None:
        super().__init__(weight, **options)
        self.gamma = check_number("gamma", gamma, low=0.0)
        self.norm = check_number("norm", norm, low=1.0)

    has_slope = True

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        return brier_weighted_loss(logits, labels, gamma=self.gamma, norm=self.norm, **self.options)

    def with_slope(self, logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Compute losses and their derivative, that of cross-entropy times the constant weight."""
        log_p = torch.log_softmax(logits, 1)
        ce = log_p.gather(1, place).neg_()
        residual, _ = _away_from(log_p.exp_(), place, 1)
        weight = torch.linalg.vector_norm(residual, self.norm, dim=1, keepdim=True).pow_(self.gamma)
        return ce.mul_(weight), residual.mul_(weight.mul_(constant(factor, weight.dtype)))


add_loss(
    name="bsce_gra",
    title="BSCE-GRA",
    cls=BrierWeightedLoss,
    formula="-||p - y||^γ log p, the norm constant to the gradient",
    paper="Lin et al., CVPR 2025, arXiv:2503.22725",
    year=2025,
    use="A focal-like weight that sees all classes and leaves the gradient's direction alone.",
    detached=True,
)
