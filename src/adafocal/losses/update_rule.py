# SPDX-License-Identifier: Apache-2.0
"""The AdaFocal update rule: from calibration gaps to the next gammas."""

import torch
from torch import Tensor

from adafocal._checks import check_floating, check_number, check_same_shape
from adafocal._shapes import PerBin
from adafocal.errors import InvalidValueError


def update_gammas(
    gamma: PerBin,
    gap: PerBin,
    *,
    rate: float = 1.0,
    switch_point: float = 0.2,
    gamma_min: float = -2.0,
    gamma_max: float = 20.0,
) -> PerBin:
    """Move each bin's gamma by its calibration gap: the AdaFocal update rule.

    Over-confidence (gap > 0) raises gamma, under-confidence lowers it. Once its size falls below ``switch_point`` a
    gamma changes sign: focal becomes inverse focal, and back.

    Formula: ``g = gamma exp(rate gap)`` where gamma > 0, else ``gamma exp(-rate gap)``; where ``|g| < switch_point``, g
    becomes ``-switch_point`` if it was positive, else ``switch_point``; the result is clipped to
    [gamma_min, gamma_max]. A bin without a gap keeps its gamma, whatever its size.

    Args:
        gamma: Current gammas, shape (n_bins,).
        gap: Mean confidence minus accuracy per bin, in [-1, 1], shape (n_bins,); 0 for an empty bin.
        rate: Step size lambda, >= 0.
        switch_point: Size of gamma below which focal and inverse focal change places, >= 0.
        gamma_min: Lower bound of the result.
        gamma_max: Upper bound of the result.

    Returns:
        The new gammas, shape (n_bins,), with the dtype and device of ``gamma``. Steps are computed in the wider of both
        dtypes, and compared with the bounds in the dtype of ``gamma``, in which a bound equals itself.

    Raises:
        TypeError: If ``gamma`` or ``gap`` is not a floating-point tensor, or a setting not a number.
        ValueError: If the shapes differ, a gamma is not finite, a gap is not in [-1, 1], ``rate`` or ``switch_point``
            is negative, or ``gamma_min > gamma_max``.

    Example:
        >>> update_gammas(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.0]), rate=1.0)
        tensor([1.6487, 1.0000])

    Reference:
        Ghosh, Schaaf and Gormley, "AdaFocal: calibration-aware adaptive focal loss", NeurIPS 2022,
        https://arxiv.org/abs/2211.11838, section 4 and algorithm 1.

    Differs from the paper: there the switch also turns a gamma below ``switch_point`` that did not move, so that an
    empty bin would change sign; here it stays.
    """
    check_floating("gamma", gamma)
    check_floating("gap", gap)
    check_same_shape("gap", gap, "gamma", gamma)
    check_rule(rate=rate, switch_point=switch_point, gamma_min=gamma_min, gamma_max=gamma_max)
    _check_values("gamma", "be finite", gamma, gamma.isfinite())
    _check_values("gap", "lie in [-1, 1]", gap, gap.abs() <= 1)
    wide = torch.promote_types(gamma.dtype, gap.dtype)
    step = rate * gap.to(wide)
    moved = (gamma.to(wide) * torch.where(gamma > 0, step, -step).exp()).to(gamma.dtype)
    # As numbers of Python the bounds would be wider than gamma: float32(0.35) < 0.35, and a gamma that lies on the
    # switch point would turn at every step.
    switch, lowest, highest = moved.new_tensor([switch_point, gamma_min, gamma_max])
    switched = torch.where(moved.abs() < switch, torch.where(moved > 0, -switch, switch), moved)
    return torch.where(gap == 0, gamma, switched.clamp(lowest, highest))


def _check_values(name: str, rule: str, values: Tensor, good: Tensor) -> None:
    if not good.all():
        place = int((~good).nonzero()[0])
        raise InvalidValueError(f"`{name}` must {rule}, got {float(values[place])} in bin {place}.")


def check_rule(*, rate: float, switch_point: float, gamma_min: float, gamma_max: float) -> None:
    """Raise unless the settings of the update rule make sense."""
    check_number("rate", rate, low=0.0)
    check_number("switch_point", switch_point, low=0.0)
    check_number("gamma_min", gamma_min)
    check_number("gamma_max", gamma_max, low=gamma_min)
