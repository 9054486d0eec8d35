# SPDX-License-Identifier: Apache-2.0
"""The one transform behind the focal family: cross-entropy weighted by a power of its own probability."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd import Function

from adafocal._checks import can_read, check_floating, check_number, label_shape, traced
from adafocal.errors import InvalidTypeError, InvalidValueError

Gamma: TypeAlias = "float | Tensor | Callable[[Tensor], Tensor]"
ROUNDING = 1e-3  # by which a fused kernel may miss a cross-entropy of 0 from below
SMALLEST_BASE = 1e-30  # so that every power has a derivative, and gamma / base fits into float32


def focal_formula(ce: Tensor, gamma: float | Tensor) -> Tensor:
    """Weight cross-entropy by the power of its own probability, as a plain graph."""
    return power(_base(torch.expm1(-ce), gamma).clamp_min(SMALLEST_BASE), gamma) * ce


def _base(minus_q: Tensor, gamma: float | Tensor) -> Tensor:
    """Choose 1 - p for gamma >= 0 and 1 + p for gamma < 0, from p - 1; for gamma 0 any base will do."""
    if isinstance(gamma, Tensor):
        return (minus_q + (1.0 - gamma.sign())).abs()
    return minus_q + 2.0 if gamma < 0 else -minus_q


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
    loss: Tensor = _Modulate.apply(ce, gamma)  # type: ignore[no-untyped-call]
    return loss


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


def gamma_at(gamma: Gamma, p: Tensor) -> float | Tensor:
    """Look up the gamma, or the gammas at probabilities ``p``, as a constant in their dtype."""
    values = gamma(p) if callable(gamma) else gamma
    return values.detach().to(p.dtype) if isinstance(values, Tensor) else values


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


class _Modulate(Function):
    """Optimise :func:`focal_formula`: keep its derivative, not a graph of a dozen steps; one product in backward.

    Compilers, functional transforms and double backward take the formula itself, which they differentiate.
    """

    @staticmethod
    def forward(ctx: Any, ce: Tensor, gamma: Gamma) -> Tensor:
        minus_q = torch.neg(ce).expm1_()  # p - 1, without cancellation
        p = minus_q + 1.0
        gamma = gamma_at(gamma, p)
        base = _base(minus_q, gamma)
        weight = power(base, gamma)
        loss = weight * ce
        # d(weight · ce) / d(ce) = weight · (1 + gamma · p · ce / base). The second term is 0 / 0 at p = 1, and 0 · inf
        # where the truth itself is masked with -inf; next to the first its limit is 0 in both.
        slope = p.mul_(gamma).mul_(loss).div_(base).nan_to_num_(0.0).add_(weight)
        ctx.save_for_backward(ce, slope)
        ctx.gamma = gamma
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        ce, slope = ctx.saved_tensors
        if torch.is_grad_enabled():  # double backward: the derivative must be differentiable itself
            return torch.autograd.grad(focal_formula(ce, ctx.gamma), ce, grad, create_graph=True)[0], None
        return grad * slope, None
