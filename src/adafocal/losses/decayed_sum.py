# SPDX-License-Identifier: Apache-2.0
"""Running sums of exponentials that neither overflow nor lose a derivative."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adafocal._shapes import PerSample


def decayed_sum(x: PerSample) -> PerSample:
    """Sum exponentials, ``s_i = sum_{j <= i} exp(x_j - x_i)`` for ascending x, in O(N) time and memory.

    As a plain graph of ``logcumsumexp`` the second derivative is NaN wherever the gradient that comes in is 0, because
    torch takes its logarithm. Here the derivative is such a sum itself, so all derivatives are finite.

    Args:
        x: Ascending values, shape (N,).

    Returns:
        The sums, shape (N,), at least 1.
    """
    if torch.compiler.is_compiling():  # which takes no function whose derivative calls itself, and only the first one
        return torch.exp(x.logcumsumexp(0) - x)
    total: Tensor = _DecayedSum.apply(x, None)  # type: ignore[no-untyped-call]
    return total


class _DecayedSum(Function):
    """``sum_{j <= i} b_j exp(x_j - x_i)``, b of any sign; None is 1.

    Its derivative towards b is the same sum from the other end, that towards x a product of both.
    """

    @staticmethod
    def forward(x: Tensor, b: Tensor | None) -> Tensor:
        if b is None:
            return torch.exp(x.logcumsumexp(0) - x)
        above, below = ((x + part.clamp_min(0).log()).logcumsumexp(0) for part in (b, -b))
        return torch.exp(above - x) - torch.exp(below - x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor | None], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        x, b, total = ctx.saved_tensors
        towards_b = _DecayedSum.apply(x.neg().flip(0), grad.flip(0)).flip(0)  # type: ignore[no-untyped-call]
        if b is None:
            return towards_b - grad * total, None
        return b * towards_b - grad * total, towards_b
