# SPDX-License-Identifier: Apache-2.0
"""The AdaFocal update rule: from calibration gaps to the next gammas."""

import torch
from torch import Tensor

from adafocal._checks import LARGEST, check_floating, check_number, check_same_shape
from adafocal._shapes import PerBin
from adafocal._text import shown
from adafocal.calibration.bins import BinStats
from adafocal.errors import InvalidTypeError, InvalidValueError


def update_gammas(
    gamma: PerBin,
    gap: PerBin,
    *,
    rate: float = 1.0,
    pooled_rate: float | None = None,
    pooled_gap: float | Tensor | None = None,
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

    With two speeds, ``rate gap`` becomes ``pooled_rate pooled_gap + rate (gap - pooled_gap)``: the gap of all samples
    together is far better known than that of a bin, and may be followed faster. Equal rates are the paper's rule.

    Args:
        gamma: Current gammas, shape (n_bins,).
        gap: Mean confidence minus accuracy per bin, in [-1, 1], shape (n_bins,); 0 for an empty bin.
        rate: Step size lambda, >= 0.
        pooled_rate: Step size for the gap that all bins share, >= 0; None is ``rate``, the paper's rule.
        pooled_gap: Mean confidence minus accuracy of all samples, in [-1, 1], a number or a tensor of one; needed with
            ``pooled_rate``, and not read without.
        switch_point: Size of gamma below which focal and inverse focal change places, >= 0.
        gamma_min: Lower bound of the result.
        gamma_max: Upper bound of the result.

    Returns:
        The new gammas, shape (n_bins,), with the dtype and device of ``gamma``. Steps are computed in the wider of both
        dtypes, and compared with the bounds in the dtype of ``gamma``, in which a bound equals itself.

    Raises:
        TypeError: If ``gamma`` or ``gap`` is not a floating-point tensor, or a setting not a number.
        ValueError: If the shapes differ, a gamma is not finite, a gap is not in [-1, 1], ``rate`` or ``switch_point``
            is negative, ``gamma_min > gamma_max``, or ``pooled_rate`` has no ``pooled_gap`` in [-1, 1].

    Example:
        >>> update_gammas(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.0]), rate=1.0)
        tensor([1.6487, 1.0000])
        >>> update_gammas(torch.tensor([1.0, 1.0]), torch.tensor([0.1, 0.3]), pooled_rate=5.0, pooled_gap=0.2)
        tensor([2.4596, 3.0042])

    Reference:
        Ghosh, Schaaf and Gormley, "AdaFocal: calibration-aware adaptive focal loss", NeurIPS 2022,
        https://arxiv.org/abs/2211.11838, section 4 and algorithm 1.

    Differs from the paper: there the switch also turns a gamma below ``switch_point`` that did not move, so that an
    empty bin would change sign; here it stays. Two speeds are ours. With them an empty bin, whose gap counts as 0,
    takes the step that the pooled gap gives it.
    """
    check_rule(rate=rate, switch_point=switch_point, gamma_min=gamma_min, gamma_max=gamma_max)
    check_pooled_rate(pooled_rate)
    extra = 0.0 if pooled_rate is None else (pooled_rate - rate) * _checked_pooled(pooled_gap)
    rule = {"switch_point": switch_point, "gamma_min": gamma_min, "gamma_max": gamma_max}
    return moved_gammas(gamma, gap, rate=rate, extra=extra, **rule)


def moved_gammas(
    gamma: PerBin, gap: PerBin, *, rate: float, extra: float, switch_point: float, gamma_min: float, gamma_max: float
) -> PerBin:
    """Move each bin's log gamma by ``rate gap + extra``; see :func:`update_gammas`."""
    check_floating("gamma", gamma)
    check_floating("gap", gap)
    check_same_shape("gap", gap, "gamma", gamma)
    _check_values("gamma", "be finite", gamma, gamma.isfinite())
    _check_values("gap", "lie in [-1, 1]", gap, gap.abs() <= 1)
    wide = torch.promote_types(gamma.dtype, gap.dtype)
    step = rate * gap.to(wide) + extra
    moved = (gamma.to(wide) * torch.where(gamma > 0, step, -step).exp()).to(gamma.dtype)
    # As numbers of Python the bounds would be wider than gamma: float32(0.35) < 0.35, and a gamma that lies on the
    # switch point would turn at every step.
    switch, lowest, highest = moved.new_tensor([switch_point, gamma_min, gamma_max])
    switched = torch.where(moved.abs() < switch, torch.where(moved > 0, -switch, switch), moved)
    clipped = switched.clamp(lowest, highest)
    return torch.where(gap == 0, gamma, clipped) if extra == 0.0 else clipped


def pooled_gap_of(stats: BinStats) -> float:
    """Compute mean confidence minus accuracy of all samples of a pass."""
    return float((stats.confidence_sum - stats.correct_sum).sum() / stats.count.sum())


def _checked_pooled(gap: float | Tensor | None) -> float:
    if isinstance(gap, Tensor) and gap.numel() == 1:
        gap = float(gap)
    if gap is None:
        raise InvalidValueError("`pooled_gap` must be given with `pooled_rate`, got None.")
    check_number("pooled_gap", gap, low=-1.0, high=1.0)
    return float(gap)


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


def check_pooled_rate(pooled_rate: float | str | None, *, names: tuple[str, ...] = ()) -> None:
    """Raise unless it is a number >= 0, None, or one of ``names``."""
    if pooled_rate is None or (isinstance(pooled_rate, str) and pooled_rate in names):
        return
    rule = " or ".join(["None", "a finite number >= 0", *map(repr, names)])
    wrong = f"`pooled_rate` must be {rule}, got {shown(pooled_rate)}."
    if isinstance(pooled_rate, str):
        raise InvalidValueError(wrong)
    if isinstance(pooled_rate, bool) or not isinstance(pooled_rate, (int, float)):
        raise InvalidTypeError(wrong)
    if not 0.0 <= pooled_rate <= LARGEST:
        raise InvalidValueError(wrong)
