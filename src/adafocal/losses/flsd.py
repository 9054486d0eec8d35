# SPDX-License-Identifier: Apache-2.0
"""Focal losses whose gamma follows a rule: of p_true (FLSD), of the epoch (FLSc), or of a target probability."""

from collections.abc import Sequence

import torch
from torch import Tensor

from adafocal._checks import check_number
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.modulate import modulate
from adafocal.losses.terms import ClassificationLoss, look_up


def flsd_gamma(p: Tensor, *, thresholds: Sequence[float], gammas: Sequence[float]) -> Tensor:
    """Give the gamma that FLSD assigns to each probability.

    Args:
        p: Probabilities of any shape.
        thresholds: Ascending probabilities that separate the gammas; a threshold belongs to the interval above it.
        gammas: One gamma more than thresholds, from low to high probability.

    Returns:
        Gammas of the shape of ``p``.
    """
    edges = torch.tensor(thresholds, dtype=p.dtype, device=p.device)
    table = torch.tensor(gammas, dtype=p.dtype, device=p.device)
    return look_up(table, torch.bucketize(p, edges, right=True))


class FLSDLoss(ClassificationLoss):
    """Sample-dependent focal loss: a gamma for each range of p_true. The defaults are FLSD-53.

    Formula: focal loss with gamma 5 where p_true is in [0, 0.2) and gamma 3 where it is in [0.2, 1].

    Args:
        thresholds: Ascending probabilities in (0, 1) that separate the ranges; each belongs to the range above it.
        gammas: One gamma per range, from low to high probability: one more than ``thresholds``.
        weight: Weight per class, shape (C,).
        ignore_index: Class index whose samples do not count.
        reduction: ``none``, ``mean`` or ``sum``.
        label_smoothing: Share of the target spread evenly over the classes, in [0, 1].

    Raises:
        TypeError: If a threshold or gamma is not a number.
        ValueError: If ``thresholds`` are not ascending in (0, 1), the lengths do not fit, or an option is out of range.

    Example:
        >>> criterion = FLSDLoss()
        >>> criterion(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.0002)

    Reference:
        Mukhoti, Kulharia, Sanyal, Golodetz, Torr and Dokania, "Calibrating deep neural networks using focal loss",
        NeurIPS 2020, https://arxiv.org/abs/2002.09437, section 5 (FLSD-53).
    """

    def __init__(
        self,
        *,
        thresholds: Sequence[float] = (0.2,),
        gammas: Sequence[float] = (5.0, 3.0),
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
        self.thresholds = tuple(thresholds)
        self.gammas = tuple(gammas)
        for threshold in self.thresholds:
            check_number("thresholds", threshold, low=0.0, high=1.0, open_low=True, open_high=True)
        for gamma in self.gammas:
            check_number("gammas", gamma)
        if list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError(f"`thresholds` must be strictly ascending, got {self.thresholds}.")
        if len(self.gammas) != len(self.thresholds) + 1:
            raise ValueError(
                f"`gammas` must hold one number more than `thresholds`, {len(self.thresholds) + 1}, "
                f"got {len(self.gammas)}."
            )

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Give the unreduced loss of each sample."""
        return self.modulated(lambda ce: modulate(ce, self.gamma_of), logits, labels)

    def gamma_of(self, p: Tensor) -> Tensor:
        """Give the gamma of each probability, of the shape of ``p``."""
        return flsd_gamma(p, thresholds=self.thresholds, gammas=self.gammas)
