# SPDX-License-Identifier: Apache-2.0
"""The AdaFocal update rule: from calibration gaps to the next gammas."""

import torch

from adafocal._checks import check_number, check_same_shape
from adafocal._shapes import PerBin


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
    [gamma_min, gamma_max].

    Args:
        gamma: Current gammas, shape (n_bins,).
        gap: Mean confidence minus accuracy per bin, in [-1, 1], shape (n_bins,). A gap of 0, as an empty bin has, keeps
            the gamma.
        rate: Step size lambda, >= 0.
        switch_point: Size of gamma below which focal and inverse focal change places, >= 0.
        gamma_min: Lower bound of the result.
        gamma_max: Upper bound of the result.

    Returns:
        The new gammas, shape (n_bins,), with the dtype and device of ``gamma``. Computed in the wider of both dtypes.

    Raises:
        ValueError: If the shapes differ, ``rate`` or ``switch_point`` is negative, or ``gamma_min > gamma_max``.

    Example:
        >>> update_gammas(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.0]), rate=1.0)
        tensor([1.6487, 1.0000])

    Reference:
        Ghosh, Schaaf and Gormley, "AdaFocal: calibration-aware adaptive focal loss", NeurIPS 2022,
        https://arxiv.org/abs/2211.11838, section 4 and algorithm 1.
    """
    check_same_shape("gap", gap, "gamma", gamma)
    check_rule(rate=rate, switch_point=switch_point, gamma_min=gamma_min, gamma_max=gamma_max)
    wide = torch.promote_types(gamma.dtype, gap.dtype)
    start, step = gamma.to(wide), rate * gap.to(wide)
    moved = start * torch.where(start > 0, step, -step).exp()
    turned = torch.where(moved > 0, -switch_point, switch_point).to(wide)
    switched = torch.where(moved.abs() < switch_point, turned, moved)
    return switched.clamp(gamma_min, gamma_max).to(gamma.dtype)


def check_rule(*, rate: float, switch_point: float, gamma_min: float, gamma_max: float) -> None:
    """Raise unless the settings of the update rule make sense."""
    check_number("rate", rate, low=0.0)
    check_number("switch_point", switch_point, low=0.0)
    check_number("gamma_min", gamma_min)
    check_number("gamma_max", gamma_max, low=gamma_min)
