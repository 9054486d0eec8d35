# SPDX-License-Identifier: Apache-2.0
"""The Brier score as a loss, and cross-entropy whose gradient is scaled by it (BSCE-GRA)."""

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import check_number
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss, OtherOptions, per_sample_loss
from adafocal.losses.catalogue import add_loss
from adafocal.losses.cross_entropy import checked_labels, output_dtype, wide_cross_entropy
from adafocal.losses.reduction import sample_weights
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
    residual = _residual(logits, labels, ignore_index=ignore_index, label_smoothing=label_smoothing)
    losses = residual.square().sum(dim=class_axis(logits))
    losses = losses * sample_weights(logits, labels, weight=weight, ignore_index=ignore_index)
    return losses.to(output_dtype(logits))


def _residual(logits: Tensor, labels: Tensor, *, ignore_index: int, label_smoothing: float) -> Tensor:
    """Subtract y from p, exact also where p is close to y = 1."""
    wide = at_least_float32(logits)
    log_p = F.log_softmax(wide, dim=class_axis(logits))
    target = soft_target(wide, labels, label_smoothing=label_smoothing, ignore_index=ignore_index)
    return torch.where(target > 0.5, log_p.expm1() + (1.0 - target), log_p.exp() - target)


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

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        return brier_loss(logits, labels, **self.options)


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
    residual = _residual(logits.detach(), labels, ignore_index=ignore_index, label_smoothing=label_smoothing)
    distance = residual.abs().pow(norm).sum(dim=class_axis(logits)).pow(gamma / norm)
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

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        return brier_weighted_loss(logits, labels, gamma=self.gamma, norm=self.norm, **self.options)


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
