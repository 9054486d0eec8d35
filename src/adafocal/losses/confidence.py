# SPDX-License-Identifier: Apache-2.0
"""Confidence score functions: how sure a prediction is, whatever the label."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal._checks import check_choice, check_class_axis, check_flag, traced
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Logits, PerSample
from adafocal.losses.derived import Derived, Kept
from adafocal.losses.targets import class_axis


def neg_entropy_formula(logits: Tensor, axis: int) -> Tensor:
    """Compute the negative entropy as a plain graph."""
    log_p = F.log_softmax(logits, dim=axis)
    # A masked class has p log p = 0 · -inf; its limit is 0, as it is wherever exp underflows.
    return (log_p.exp() * log_p.clamp_min(-1e4)).sum(dim=axis)


def _neg_entropy(logits: Tensor, axis: int) -> Tensor:
    return neg_entropy_formula(logits, axis) if traced() else _NegEntropy(axis)(logits)


class _NegEntropy(Derived):
    """``sum_c p_c log p_c``, whose derivative by a logit is ``p (log p - sum)``."""

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def formula(self, x: Tensor) -> Tensor:
        """Compute it as a plain graph."""
        return neg_entropy_formula(x, self.axis)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute it, and log p."""
        log_p = F.log_softmax(x, dim=self.axis).clamp_min_(-1e4)
        total = log_p.exp().mul_(log_p).sum(dim=self.axis)
        return total, (log_p, total)

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative."""
        log_p, total = kept
        slope: Tensor = log_p.exp().mul_(log_p - total.unsqueeze(self.axis))
        return slope.mul_(grad.unsqueeze(self.axis))


class TopProbability(Derived):
    """The largest softmax probability, whose values are known already; the gradient flows to the lowest such class."""

    def __init__(self, known: Tensor, axis: int) -> None:
        self.known, self.axis = known, axis

    def formula(self, x: Tensor) -> Tensor:
        """Compute it as a plain graph."""
        return (x.max(dim=self.axis).values - x.logsumexp(dim=self.axis)).exp().clamp(max=1.0)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Give it."""
        return self.known, (self.known,)

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative, which is ``known`` times the difference of one-hot and softmax."""
        largest = x.amax(dim=self.axis, keepdim=True)
        slope = torch.eq(x, largest, out=torch.empty_like(x))
        if slope.count_nonzero() != grad.numel():  # equal logits
            slope.zero_().scatter_(self.axis, x.max(dim=self.axis, keepdim=True).indices, 1.0)
        return slope.sub_(F.softmax(x, dim=self.axis)).mul_((grad * kept[0]).unsqueeze(self.axis))


def _margin(logits: Tensor, axis: int) -> Tensor:
    top = logits.softmax(dim=axis).topk(min(2, logits.shape[axis]), dim=axis).values
    return top.select(axis, 0) - top.narrow(axis, 1, top.shape[axis] - 1).sum(dim=axis)


SCORES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "msp": lambda logits, axis: (logits.amax(dim=axis) - logits.logsumexp(dim=axis)).exp(),
    "neg_entropy": _neg_entropy,
    "margin": _margin,
    "max_logit": lambda logits, axis: logits.amax(dim=axis),
    "l2_norm": lambda logits, axis: logits.softmax(dim=axis).square().sum(dim=axis).sqrt(),
    "neg_gini": lambda logits, axis: logits.softmax(dim=axis).square().sum(dim=axis) - 1.0,
}
# Each score but the largest logit, which has no bounds, moved to [0, 1]: how, given log C.
TO_UNIT: dict[str, Callable[[Tensor, float], Tensor]] = {
    "msp": lambda score, _: score,
    "neg_entropy": lambda score, log_c: 1.0 + score / max(log_c, 1e-30),
    "margin": lambda score, _: score,
    "l2_norm": lambda score, _: score,
    "neg_gini": lambda score, _: 1.0 + score,
}


def confidence_score(logits: Logits, *, score: str = "msp", unit: bool = False) -> PerSample:
    """Score how sure each prediction is; the scores order samples differently where several classes compete.

    Args:
        logits: Shape (C,), (N, C) or (N, C, d1, …).
        score: ``msp`` (largest softmax probability), ``neg_entropy`` (sum p log p), ``margin`` (largest minus second
            largest probability), ``max_logit``, ``l2_norm`` (of the probabilities) or ``neg_gini`` (sum p^2 - 1).
        unit: Whether to move the score to [0, 1]; ``max_logit`` has no bounds and is refused.

    Returns:
        Scores of shape (), (N,) or (N, d1, …) in float32 or wider; higher is more confident.

    Raises:
        TypeError: If ``logits`` is not floating point.
        ValueError: If ``score`` is unknown, or unbounded where ``unit`` is asked for.

    Example:
        >>> import torch
        >>> confidence_score(torch.tensor([[0.0, 0.0], [9.0, 0.0]]), score="neg_entropy", unit=True)
        tensor([0.0000, 0.9982])

    Reference:
        Zhou, Gruber, Popordanoska and Blaschko, "Revisiting reweighted risk for calibration", 2025,
        https://arxiv.org/abs/2505.23463, confidence score functions.

    Differs from the paper: the published code feeds probabilities through a second softmax in some versions, which
    flattens the scores; here each is computed once, as defined.
    """
    check_class_axis("logits", logits)
    check_flag("unit", unit)
    check_choice("score", score, tuple(TO_UNIT if unit else SCORES))
    axis = class_axis(logits)
    value = SCORES[score](at_least_float32(logits), axis)
    return _rounded(TO_UNIT[score](value, math.log(logits.shape[axis]))) if unit else value


def _rounded(score: Tensor) -> Tensor:
    """Keep within [0, 1] what rounding alone takes out; the gradient passes."""
    known = score.detach()
    return score + known.clamp(0.0, 1.0).sub_(known)
