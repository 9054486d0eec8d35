# SPDX-License-Identifier: Apache-2.0
"""Focal losses whose gamma follows a rule: of p_true (FLSD), of the epoch (FLSc), or of a target probability."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import check_integer, check_number, check_sequence
from adafocal._shapes import Labels, Logits
from adafocal.errors import InvalidValueError
from adafocal.losses.base import OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.focal_family import FocalFamily, Modulation
from adafocal.losses.modulate import modulate

__all__ = ["FLSDLoss", "ScheduledFocalLoss", "gamma_for_target"]


def flsd_gamma(p: Tensor, *, thresholds: Sequence[float], gammas: Sequence[float]) -> Tensor:
    """Look up the gamma that FLSD assigns to each probability, of any shape; see :class:`FLSDLoss`."""
    # Numbers go with the kernels; a tensor of them would have to be copied to an accelerator, which waits for it.
    gamma = torch.full_like(p, gammas[0])
    for threshold, above in zip(thresholds, gammas[1:], strict=True):
        gamma = torch.where(p >= threshold, above, gamma)
    return gamma


class FLSDLoss(FocalFamily):
    """Sample-dependent focal loss: a gamma for each range of p_true. The defaults are FLSD-53.

    Formula: focal loss with gamma 5 where p_true is in [0, 0.2) and gamma 3 where it is in [0.2, 1].

    Args:
        thresholds: Ascending probabilities in (0, 1) that separate the ranges; each belongs to the range above it.
        gammas: One gamma per range, from low to high probability: one more than ``thresholds``.

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
        weight: Tensor | None = None,
        *,
        thresholds: Sequence[float] = (0.2,),
        gammas: Sequence[float] = (5.0, 3.0),
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, **options)
        self.thresholds = _numbers("thresholds", thresholds)
        self.gammas = _numbers("gammas", gammas)
        for threshold in self.thresholds:
            check_number("thresholds", threshold, low=0.0, high=1.0, open_low=True, open_high=True)
        _check_steps("thresholds", self.thresholds, self.gammas)

    def modulation(self, logits: Logits, labels: Labels) -> Modulation:
        """Give the function of cross-entropies for this batch."""
        return partial(modulate, gamma=self.gamma_of)

    def gamma_of(self, p: Tensor) -> Tensor:
        """Look up the gamma of each probability, of the shape of ``p``."""
        return flsd_gamma(p, thresholds=self.thresholds, gammas=self.gammas)


add_loss(
    name="flsd53",
    title="FLSD-53",
    cls=FLSDLoss,
    formula="-(1 - p)^γ(p) log p, γ = 5 for p < 0.2, else 3",
    paper="Mukhoti et al., NeurIPS 2020, arXiv:2002.09437",
    year=2020,
    use="The strongest fixed focal schedule of its paper; needs no validation data.",
)


class ScheduledFocalLoss(FocalFamily):
    """Focal loss whose gamma changes at given epochs. The defaults are FLSc-531.

    It knows no trainer: call :meth:`set_epoch` when an epoch starts.

    Formula: focal loss with gamma 5 up to epoch 100, 3 up to epoch 250, and 1 from then on.

    Args:
        gammas: One gamma per period, in order: one more than ``milestones``.
        milestones: Ascending epochs >= 1 at which the next gamma starts.

    Attributes:
        gamma: The gamma now, float32 scalar; it travels with ``state_dict``.

    Raises:
        TypeError: If a gamma is not a number or a milestone not an integer.
        ValueError: If ``milestones`` are not ascending, the lengths do not fit, or an option is out of range.

    Example:
        >>> criterion = ScheduledFocalLoss(gammas=(5.0, 1.0), milestones=(10,))
        >>> criterion.set_epoch(10)
        >>> criterion.gamma
        tensor(1.)

    Reference:
        Mukhoti, Kulharia, Sanyal, Golodetz, Torr and Dokania, "Calibrating deep neural networks using focal loss",
        NeurIPS 2020, https://arxiv.org/abs/2002.09437, appendix (FLSc-531).
    """

    gamma: Tensor

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        gammas: Sequence[float] = (5.0, 3.0, 1.0),
        milestones: Sequence[int] = (100, 250),
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, **options)
        self.gammas = _numbers("gammas", gammas)
        self.milestones = _numbers("milestones", milestones)
        for milestone in self.milestones:
            check_integer("milestones", milestone, minimum=1)
        _check_steps("milestones", self.milestones, self.gammas)
        self.register_buffer("gamma", torch.tensor(self.gammas[0], dtype=torch.float32))

    def set_epoch(self, epoch: int) -> None:
        """Take the gamma of this epoch, counted from 0."""
        check_integer("epoch", epoch, minimum=0)
        self.gamma.fill_(self.gammas[bisect_right(self.milestones, epoch)])

    def modulation(self, logits: Logits, labels: Labels) -> Modulation:
        """Give the function of cross-entropies for this batch."""
        return partial(modulate, gamma=self.gamma)


add_loss(
    name="flsc531",
    title="FLSc-531",
    cls=ScheduledFocalLoss,
    formula="-(1 - p)^γ log p, γ = 5, 3, 1 from epoch 0, 100, 250",
    paper="Mukhoti et al., NeurIPS 2020, arXiv:2002.09437",
    year=2020,
    use="A schedule for long trainings; call set_epoch, or γ stays at its first value.",
)


def gamma_for_target(p: float) -> float:
    """Solve for the focal gamma whose gradient is as strong as that of cross-entropy at p_true = p, and weaker above.

    Up to this probability focal loss pushes confidence harder than cross-entropy, beyond it more gently: the rule by
    which FLSD chooses its gammas.

    Formula: the positive gamma with ``(1 - p)^gamma - gamma p (1 - p)^(gamma - 1) log p = 1``. The paper writes it with
    the branch W₋₁ of the Lambert W function; here Newton's method solves it.

    Args:
        p: Target probability, in (0, 0.5); from 0.5 on no positive gamma satisfies the rule.

    Returns:
        Gamma, a positive number that falls as ``p`` grows.

    Raises:
        TypeError: If ``p`` is not a number.
        ValueError: If ``p`` is outside (0, 0.5).

    Example:
        >>> round(gamma_for_target(0.2), 3)
        4.851

    Reference:
        Mukhoti, Kulharia, Sanyal, Golodetz, Torr and Dokania, "Calibrating deep neural networks using focal loss",
        NeurIPS 2020, https://arxiv.org/abs/2002.09437, proposition 1 and its proof.
    """
    check_number("p", p, low=0.0, high=0.5, open_low=True, open_high=True)
    log_q, slope = math.log1p(-p), -p * math.log(p) / (1.0 - p)
    # log g(gamma) = gamma log(1 - p) + log(1 + slope gamma) is concave and 0 at gamma = 0: from the right of its
    # positive root, Newton's method falls towards it and stops there.
    gamma = 1.0 / p
    while gamma * log_q + math.log1p(slope * gamma) > 0.0:
        gamma *= 2.0
    for _ in range(100):
        step = (gamma * log_q + math.log1p(slope * gamma)) / (log_q + slope / (1.0 + slope * gamma))
        gamma -= step
        if abs(step) <= 1e-14 * gamma:  # rounding alone moves it now
            break
    return gamma


def _numbers(name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    check_sequence(name, values, of="numbers")
    return tuple(values)


def _check_steps(name: str, steps: tuple[int | float, ...], gammas: tuple[int | float, ...]) -> None:
    """Raise unless ``steps`` ascend and separate ``gammas``, all of them numbers."""
    for gamma in gammas:
        check_number("gammas", gamma)
    if list(steps) != sorted(set(steps)):
        raise InvalidValueError(f"`{name}` must be strictly ascending, got {steps}.")
    if len(gammas) != len(steps) + 1:
        raise InvalidValueError(
            f"`gammas` must hold one number more than `{name}`, {len(steps) + 1}, got {len(gammas)}."
        )
