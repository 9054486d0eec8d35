# SPDX-License-Identifier: Apache-2.0
"""The one transform behind the focal family: cross-entropy weighted by a power of its own probability."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import can_read, check_floating, check_number, label_shape, traced
from adafocal.calibration.edges import find_bins
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.derived import Derived, Kept
from adafocal.losses.reduction import look_up

Gamma: TypeAlias = "float | Tensor | Callable[[Tensor], Tensor]"
ROUNDING = 1e-3  # by which a fused kernel may miss a cross-entropy of 0 from below
FEW = 1 << 11  # samples for which the calls cost more than the computation
LARGEST_LOSS = 1e30  # infinite where the truth is masked, and its probability 0
SMALLEST_BASE = 1e-30  # so that every power has a derivative, and gamma / base fits into float32


def focal_formula(ce: Tensor, gamma: float | Tensor) -> Tensor:
    """Weight cross-entropy by the power of its own probability, as a plain graph."""
    return power(_base(torch.expm1(-ce), gamma).clamp_min(SMALLEST_BASE), gamma) * ce


def _base(minus_q: Any, gamma: Any) -> Any:
    """Choose 1 - p for gamma >= 0 and 1 + p for gamma < 0, from p - 1; for gamma 0 any base will do."""
    if isinstance(gamma, (int, float)):
        return minus_q + 2.0 if gamma < 0 else -minus_q
    sign = torch.sign(gamma) if isinstance(gamma, Tensor) else np.sign(gamma)
    return abs(minus_q + (1.0 - sign))


def power(base: Tensor, gamma: float | Tensor) -> Tensor:
    """Raise ``base`` to the power of the size of ``gamma``."""
    return base.pow(gamma.abs() if isinstance(gamma, Tensor) else abs(gamma))


def modulate(ce: Tensor, gamma: Gamma) -> Tensor:
    """Turn cross-entropy into the focal loss of the given gamma, elementwise.

    Formula: ``base^|gamma| ce`` with base ``1 - exp(-ce)`` for gamma >= 0 and ``1 + exp(-ce)`` for gamma < 0.

    Args:
        ce: Cross-entropies ``-log p`` in [0, inf], nats, any shape.
        gamma: A number, a tensor that broadcasts to ``ce``, or a rule that maps the probabilities p to a tensor of
            gammas of their shape; constant to the gradient in every case.

    Returns:
        Losses of the shape of ``ce``. First and second derivatives with respect to ``ce`` are finite, also at p = 1
        with 0 < gamma < 1.

    Raises:
        TypeError: If ``ce`` is not floating point, or ``gamma`` neither a number, a tensor of numbers nor a rule.
        ValueError: If ``gamma`` does not broadcast to ``ce``, or is not finite.

    Example:
        >>> modulate(torch.tensor([0.6931]), 1.0)
        tensor([0.3465])
    """
    check_floating("ce", ce)
    if not callable(gamma):
        _check_gammas(gamma, ce)
    if traced():
        return focal_formula(ce, gamma_at(gamma, torch.exp(-ce.detach())))
    return Focal(gamma)(ce)


def _check_real(gamma: Tensor) -> None:
    if gamma.is_complex() or gamma.dtype == torch.bool:
        raise InvalidTypeError(f"`gamma` must hold real numbers, got dtype {gamma.dtype}.")


def _check_gammas(gamma: float | Tensor, ce: Tensor) -> None:
    if not isinstance(gamma, Tensor):
        check_number("gamma", gamma)
        return
    _check_real(gamma)
    last = ce.shape[ce.ndim - gamma.ndim :]
    if gamma.ndim > ce.ndim or any(own not in (1, size) for own, size in zip(gamma.shape, last, strict=True)):
        raise InvalidValueError(f"`gamma` must broadcast to {tuple(ce.shape)}, got shape {tuple(gamma.shape)}.")


def gamma_at(gamma: Gamma, p: Any) -> Any:
    """Look up the gamma, or the gammas at probabilities ``p`` of torch or NumPy, as a constant in their dtype."""
    known = isinstance(p, Tensor) or (isinstance(gamma, partial) and gamma.func is gamma_by_bin)
    values = gamma(p if known else torch.from_numpy(p)) if callable(gamma) else gamma
    if isinstance(p, Tensor):
        return values.detach().to(p.dtype) if isinstance(values, Tensor) else values
    array: Any = values.detach().numpy() if isinstance(values, Tensor) else values
    return array.astype(p.dtype, copy=False) if isinstance(array, np.ndarray) else array


def gamma_by_bin(p: Any, *, gamma: Any, edges: Any) -> Any:
    """Look up the gamma of the bin that holds each probability, of torch or NumPy; edges are the inner ones."""
    if isinstance(p, Tensor):
        return look_up(gamma, find_bins(p, edges.to(p.dtype)))
    return gamma.numpy().take(edges.numpy().searchsorted(p))


def check_gamma(gamma: float | Tensor, logits: Tensor, *, low: float = -math.inf) -> None:
    """Raise unless ``gamma`` is a number >= ``low``, or a tensor that holds one per sample, or per sample and class.

    The numbers of a tensor are not read; where one is NaN, so is the loss.
    """
    if not isinstance(gamma, Tensor):
        check_number("gamma", gamma, low=low)
        return
    _check_real(gamma)
    if gamma.ndim > 0 and gamma.shape not in (label_shape(logits), logits.shape):
        raise InvalidValueError(
            f"`gamma` must be a number or have one per sample, {tuple(label_shape(logits))}, got {tuple(gamma.shape)}."
        )


def at_least_zero(ce: Tensor) -> Tensor:
    """Check cross-entropies: raise for a negative one; where values cannot be read without waiting it becomes NaN."""
    negative = ce.detach() < -ROUNDING
    if not can_read(ce):
        return torch.where(negative, torch.nan, ce.clamp_min(0.0))
    if negative.any():
        raise InvalidValueError(f"`ce` must hold cross-entropies -log p, >= 0, got {float(ce.detach().min()):.6g}.")
    return ce.clamp_min(0.0)


class Focal(Derived):
    """The transform :func:`modulate` of one gamma."""

    def __init__(self, gamma: Gamma) -> None:
        self.gamma: Any = gamma

    def formula(self, x: Tensor) -> Tensor:
        """Compute it as a plain graph, after :meth:`value` with the gammas that it took."""
        return focal_formula(x, gamma_at(self.gamma, torch.exp(-x.detach())))

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute it, and its derivative."""
        taken, value, (slope,) = focal_with_slope(x.detach(), torch.neg(x).expm1_(), self.gamma)
        self.gamma = torch.from_numpy(taken) if isinstance(taken, np.ndarray) else taken
        return value, (slope,)

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative."""
        return grad.mul(kept[0])


def focal_with_slope(
    ce: Tensor, minus_q: Tensor, gamma: Gamma, *below: Tensor, factor: float = 1.0
) -> tuple[Any, Tensor, list[Tensor]]:
    """Compute gammas, losses and derivatives by the cross-entropy: those of :func:`modulate`, or of the dual loss.

    A few on the CPU are computed with NumPy, whose calls cost a third of torch's. The probabilities are always torch's,
    as one may lie at an edge.

    Args:
        ce: Cross-entropies, any shape, without gradient as the others.
        minus_q: p - 1 of theirs, without cancellation.
        gamma: As that of :func:`modulate`.
        below: For the dual loss the next lower probability. Then there is a second derivative: that by its logit, with
            the cross-entropy held.
        factor: What the derivatives are multiplied by.
    """
    if not ce.is_cpu or ce.ndim == 0 or ce.numel() > FEW:
        return _with_slope(ce, minus_q, gamma, *below, factor=factor)
    arrays = (values.numpy() for values in (ce, minus_q, *below))
    with np.errstate(over="ignore"):  # a power of 2 with a large |gamma|, infinite as torch's
        taken, value, slopes = _with_slope(next(arrays), next(arrays), gamma, *arrays, factor=factor)
    return taken, torch.from_numpy(value), [torch.from_numpy(slope) for slope in slopes]


def _with_slope(ce: Any, minus_q: Any, gamma: Any, *below: Any, factor: float) -> tuple[Any, Any, list[Any]]:
    """Do what :func:`focal_with_slope` does; arrays of torch or of NumPy alike."""
    short = minus_q - below[0] if below else minus_q
    margin = short + 1.0
    gamma = gamma_at(gamma, margin)
    base = _base(short, gamma)
    weight = base ** abs(gamma)
    loss = weight * ce
    # d(weight · ce) / d(ce) = weight · (1 + gamma · p · ce / base). The second term is 0 / 0 at p = 1, and 0 · inf
    # where the truth itself is masked with -inf; next to the first its limit is 0 in both.
    if isinstance(loss, Tensor):
        ratio = (loss / base).nan_to_num_(0.0, 0.0, 0.0)
    else:
        ratio = np.minimum(loss, LARGEST_LOSS) / np.maximum(base, SMALLEST_BASE)
    ratio *= gamma * factor
    weight *= factor
    margin *= ratio
    margin += weight
    return gamma, loss, [margin, *(q * ratio for q in below)]
