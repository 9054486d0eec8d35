# SPDX-License-Identifier: Apache-2.0
"""Dynamic fine-tuning (DFT): cross-entropy weighted by its own probability, which is constant to the gradient."""

from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import traced
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss, SampleOptions, linear_loss
from adafocal.losses.catalogue import add_loss
from adafocal.losses.cross_entropy import modulated_cross_entropy
from adafocal.losses.derived import Derived, Kept
from adafocal.losses.focal_family import FocalFamily, Modulation
from adafocal.losses.modulate import LARGEST_LOSS
from adafocal.losses.reduced import cross_entropy_with_slope

__all__ = ["DFTLoss", "dft_loss"]


def weigh_by_probability(ce: Tensor) -> Tensor:
    """Multiply cross-entropies by their probabilities, which take no part in the gradient; 0 where p is 0."""
    return dft_formula(ce) if traced() else _OwnProbability()(ce)


def dft_formula(ce: Tensor) -> Tensor:
    """Do the same as a plain graph."""
    return torch.exp(-ce.detach()) * ce.clamp_max(LARGEST_LOSS)


class _OwnProbability(Derived):
    def formula(self, x: Tensor) -> Tensor:
        """Compute it as a plain graph."""
        return dft_formula(x)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute it, and its derivative."""
        p = torch.exp(-x)
        return p * x.clamp_max(LARGEST_LOSS), (p,)

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative."""
        return grad.mul(kept[0])


@linear_loss
def dft_loss(logits: Logits, labels: Labels, **options: Unpack[SampleOptions]) -> PerSample:
    """Weight cross-entropy by how probable the model already finds the truth.

    For supervised fine-tuning: its gradient is that of the probability of the truth itself, so a token that the model
    finds unlikely pulls no harder than one it expects, where cross-entropy pulls 1 / p times as hard. What has no
    probability is never learned, so start from a model that knows the task. It raises confidence where the model is
    sure, as the inverse focal loss does, only more: measure calibration after it.

    Formula: ``-[p] log p`` with p the softmax probability of the label, and [p] constant to the gradient, which
    therefore is p times that of cross-entropy; ``sum_c y_c [p_c] (-log p_c)`` for soft targets y.

    Returns:
        Losses in [0, 1 / e] nats of shape (), (N,) or (N, d1, …). They grow until p = 1 / e and fall again above it: a
        smaller one is no better fit, so follow the cross-entropy of validation data.

    Example:
        >>> dft_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor([0.3466])

    Reference:
        Wu et al., "On the generalization of SFT: a reinforcement learning perspective with reward rectification",
        ICLR 2026, https://arxiv.org/abs/2508.05629, section 3.
    """
    return modulated_cross_entropy(weigh_by_probability, logits, labels, **options)


class DFTLoss(FocalFamily):
    """Dynamic fine-tuning as a module; see :func:`dft_loss` for the formula.

    Example:
        >>> DFTLoss()(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor(0.3466)

    Reference:
        Wu et al., "On the generalization of SFT: a reinforcement learning perspective with reward rectification",
        ICLR 2026, https://arxiv.org/abs/2508.05629, section 3.

    Differs from the paper: it is stated for tokens; here for samples of any kind, soft targets among them.
    """

    has_slope = True
    over_classes = ClassificationLoss.over_classes  # by `with_slope`: there is no gamma

    def modulation(self, logits: Logits, labels: Labels) -> Modulation:
        """Give the function of cross-entropies, which is the same for every batch."""
        return weigh_by_probability

    def with_slope(self, logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Compute losses and their derivative, that of cross-entropy times the probability of the label."""
        ce, _, slope = cross_entropy_with_slope(logits, place)
        p = torch.exp(-ce)
        return p * ce.clamp_max_(LARGEST_LOSS), slope.mul_(p.mul(factor))


add_loss(
    name="dft",
    title="DFT",
    cls=DFTLoss,
    formula="-[p] log p, [p] constant to the gradient",
    paper="Wu et al., ICLR 2026, arXiv:2508.05629",
    year=2026,
    use="Fine-tuning a model that knows the task: unlikely labels pull no harder; raises confidence.",
    detached=True,
)
