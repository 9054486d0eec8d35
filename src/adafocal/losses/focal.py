# SPDX-License-Identifier: Apache-2.0
"""Focal loss and its inverse: cross-entropy weighted by p_true."""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import cast

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import check_class_axis, check_number, traced
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.errors import InvalidValueError
from adafocal.losses.base import EntryOptions, OtherOptions, SampleOptions, linear_loss
from adafocal.losses.catalogue import add_loss
from adafocal.losses.cross_entropy import modulated_cross_entropy
from adafocal.losses.focal_family import FocalFamily, Modulation
from adafocal.losses.modulate import check_gamma, modulate
from adafocal.losses.reduction import weight_of_labels
from adafocal.losses.targets import class_axis

__all__ = ["FocalLoss", "InverseFocalLoss", "focal_loss", "inverse_focal_loss"]


@linear_loss
def focal_loss(logits: Logits, labels: Labels, *, gamma: float | Tensor, **options: Unpack[EntryOptions]) -> PerSample:
    """Weight cross-entropy down where the model is already confident of the truth.

    Use it when cross-entropy ends over-confident; a fixed gamma can overshoot into under-confidence, which
    :class:`~adafocal.losses.AdaFocalLoss` corrects. Gamma 0 is cross-entropy. A negative gamma is the inverse focal
    loss, so one per-sample tensor can hold both.

    Formula: ``-(1 - p)^gamma log p`` for gamma >= 0 and ``-(1 + p)^|gamma| log p`` for gamma < 0, with p the softmax
    probability of the label; ``sum_c y_c weight(p_c) (-log p_c)`` for soft targets y. The gradient flows through p in
    the weight.

    Args:
        gamma: A number, or a tensor of one gamma per sample with the shape of class-index labels. Treated as constant.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
        >>> focal_loss(logits, torch.tensor([0, 0]), gamma=2.0)
        tensor([0.0018, 1.6501])

    Reference:
        Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", ICCV 2017,
        https://arxiv.org/abs/1708.02002, equation 4. Mukhoti et al., "Calibrating deep neural networks using focal
        loss", NeurIPS 2020, https://arxiv.org/abs/2002.09437, section 3 (multi-class form and calibration).
    """
    check_class_axis("logits", logits)
    check_gamma(gamma, logits)
    return modulated_cross_entropy(
        lambda ce: modulate(ce, _per_element(gamma, ce)), logits, labels, **cast(SampleOptions, options)
    )


@linear_loss
def inverse_focal_loss(
    logits: Logits, labels: Labels, *, gamma: float | Tensor, **options: Unpack[EntryOptions]
) -> PerSample:
    """Weight cross-entropy up where the model is confident of the truth.

    The opposite of :func:`focal_loss`: it raises confidence, which helps an under-confident model.

    Formula: ``-(1 + p)^gamma log p`` with p the softmax probability of the label and gamma >= 0.

    Args:
        gamma: A number >= 0, or a tensor of one gamma per sample with the shape of class-index labels.

    Example:
        >>> inverse_focal_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([0]), gamma=1.0)
        tensor([1.0397])

    Reference:
        Ghosh, Schaaf and Gormley, "AdaFocal: calibration-aware adaptive focal loss", NeurIPS 2022,
        https://arxiv.org/abs/2211.11838, section 4 (inverse focal loss). Wang, Feng and Zhang, "Rethinking calibration
        of deep neural networks: do not be afraid of overconfidence", NeurIPS 2021, proposed the name.
    """
    check_class_axis("logits", logits)
    check_gamma(gamma, logits, low=0.0)
    return focal_loss(logits, labels, gamma=-gamma, **options)


class FocalLoss(FocalFamily):
    """Focal loss as a module; see :func:`focal_loss` for the formula.

    Args:
        gamma: Focusing parameter; 0 is cross-entropy, negative values are the inverse focal loss. A sequence holds one
            gamma per class: that of a sample's label, or for soft targets of each class.

    Raises:
        TypeError: If a gamma is not a number.
        ValueError: If a gamma is not finite, an option is out of range, or logits have another number of classes.

    Example:
        >>> criterion = FocalLoss(gamma=2.0)
        >>> criterion(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.0018)

    Reference:
        Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", ICCV 2017,
        https://arxiv.org/abs/1708.02002, equation 4.
    """

    def __init__(
        self, weight: Tensor | None = None, *, gamma: float | Sequence[float] = 2.0, **options: Unpack[OtherOptions]
    ) -> None:
        super().__init__(weight, **options)
        for value in gamma if isinstance(gamma, Sequence) and gamma and not isinstance(gamma, str) else (gamma,):
            check_number("gamma", value)
        self.gamma = tuple(gamma) if isinstance(gamma, Sequence) else gamma

    def modulation(self, logits: Logits, labels: Labels) -> Modulation:
        """Give the function of cross-entropies for this batch."""
        if isinstance(self.gamma, tuple):
            return lambda ce: modulate(ce, self._gamma_for(ce, logits, labels))
        return partial(modulate, gamma=self.gamma)

    def modulation_of_values(self, ce: PerSample, labels: Labels) -> Modulation:
        """Give the function of cross-entropies where there are no logits."""
        if isinstance(self.gamma, tuple):
            return partial(modulate, gamma=weight_of_labels(labels, self._table(ce), self.ignore_index))
        return partial(modulate, gamma=self.gamma)

    def _table(self, ce: Tensor) -> Tensor:
        assert isinstance(self.gamma, tuple)
        return (_made if traced() else _kept)(self.gamma, ce.dtype, ce.device)

    def _gamma_for(self, ce: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        assert isinstance(self.gamma, tuple)
        n_classes = logits.shape[class_axis(logits)]
        if len(self.gamma) != n_classes:
            raise InvalidValueError(f"`gamma` must hold one number per class, {n_classes}, got {len(self.gamma)}.")
        table = self._table(ce)
        if ce.ndim == logits.ndim:  # one cross-entropy per class
            return table.view(-1, *[1] * (ce.ndim - 1 - class_axis(logits)))
        return weight_of_labels(labels, table, self.ignore_index)


add_loss(
    name="focal",
    title="Focal (γ = 3)",
    cls=FocalLoss,
    formula="-(1 - p)^γ log p",
    paper="Lin et al., ICCV 2017, arXiv:1708.02002",
    year=2017,
    use="Simplest remedy for over-confidence; a fixed γ can overshoot.",
    defaults={"gamma": 3.0},
)


class InverseFocalLoss(FocalFamily):
    """Inverse focal loss as a module; see :func:`inverse_focal_loss` for the formula.

    Args:
        gamma: Strength, >= 0; 0 is cross-entropy.

    Example:
        >>> criterion = InverseFocalLoss(gamma=1.0)
        >>> criterion(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor(1.0397)

    Reference:
        Zhou, Gruber and Popordanoska, "Revisiting reweighted risk for calibration", 2025,
        https://arxiv.org/abs/2505.23463; the default is the gamma of their CIFAR-10 ResNet-50 runs.
    """

    def __init__(self, weight: Tensor | None = None, *, gamma: float = 2.0, **options: Unpack[OtherOptions]) -> None:
        super().__init__(weight, **options)
        self.gamma = check_number("gamma", gamma, low=0.0)

    def modulation(self, logits: Logits, labels: Labels) -> Modulation:
        """Give the function of cross-entropies for this batch."""
        return partial(modulate, gamma=-self.gamma)


add_loss(
    name="inverse_focal",
    title="Inverse focal",
    cls=InverseFocalLoss,
    formula="-(1 + p)^γ log p",
    paper="Wang et al., NeurIPS 2021; Zhou et al., arXiv:2505.23463",
    year=2021,
    use="For under-confident models, and where temperature scaling follows.",
)


def _made(gammas: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # a validation pass may come first, and training could not use its tensor
        return torch.tensor(gammas, dtype=dtype, device=device)


_kept = lru_cache(maxsize=32)(_made)  # copying numbers to an accelerator waits for it: not at every step


def _per_element(gamma: float | Tensor, ce: Tensor) -> float | Tensor:
    """Insert a class axis into per-sample gammas where ``ce`` has one."""
    if isinstance(gamma, Tensor) and 0 < gamma.ndim == ce.ndim - 1:
        return gamma.unsqueeze(1)
    return gamma
