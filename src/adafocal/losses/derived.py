# SPDX-License-Identifier: Apache-2.0
"""Functions of one tensor that know their derivative: one mechanism for all losses that are not left to a graph."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adafocal._checks import traced

Kept = tuple[Tensor | None, ...]


class Derived:
    """A function of one tensor, given twice: as a plain formula, and as a value with its derivative.

    A graph of a formula has a node per step, each of which costs a pass in backward and keeps its tensors. Called with
    a tensor, this keeps what :meth:`slope` needs instead. Compilers, functional transforms and double backward take the
    formula itself, which they differentiate.
    """

    def formula(self, x: Tensor) -> Tensor:
        """Compute the function as a plain graph."""
        raise NotImplementedError

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute the function, without a graph, and what its derivative needs beside ``x``."""
        raise NotImplementedError

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Compute the gradient by ``x`` from that by the value."""
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the function, differentiable as often as the formula is."""
        if traced():
            return self.formula(x)
        value: Tensor = _WithSlope.apply(x, self)  # type: ignore[no-untyped-call]
        return value


class _WithSlope(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Derived) -> Tensor:
        value, kept = function.value(x)
        ctx.save_for_backward(x, *kept)
        ctx.function = function
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        x, *kept = ctx.saved_tensors
        if torch.is_grad_enabled():  # double backward: the derivative must be differentiable itself
            return torch.autograd.grad(ctx.function.formula(x), x, grad, create_graph=True)[0], None
        return ctx.function.slope(grad, x, *kept), None
