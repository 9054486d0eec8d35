# SPDX-License-Identifier: Apache-2.0
"""Logit normalisation: cross-entropy of logits with their length taken out."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from typing_extensions import Unpack

from adafocal._checks import can_read, check_labels_match, check_number, traced
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.cross_entropy import output_dtype
from adafocal.losses.targets import class_axis

__all__ = ["LogitNormLoss"]

SHORTEST = 1e-3  # keeps the slope at zero logits defined, and within half precision


def normalised(logits: Logits, *, temperature: float) -> Logits:
    """Scale logits to the length 1 / temperature; a class masked with -inf stays so, and adds nothing to the length."""
    if traced():
        return normalised_formula(logits, temperature)
    scaled: Tensor = _Normalise.apply(logits, temperature, class_axis(logits))  # type: ignore[no-untyped-call]
    return scaled


def normalised_formula(logits: Tensor, temperature: float) -> Tensor:
    """Scale logits as a plain graph."""
    masked = logits == -torch.inf
    finite = logits.masked_fill(masked, 0.0)
    length = (finite.square().sum(dim=class_axis(logits), keepdim=True) + SHORTEST**2).sqrt()
    return (finite / (temperature * length)).masked_fill(masked, -torch.inf)


class _Normalise(Function):
    """Optimise :func:`normalised_formula`: with u the result, its derivative is (g - τ² u (u · g)) / (τ length)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, temperature: float, axis: int) -> Tensor:
        # Nobody waits for an accelerator to learn whether a class is masked.
        masked = (
            None if can_read(logits) and logits.numel() and float(logits.amin()) > -math.inf else logits == -torch.inf
        )
        finite = logits if masked is None else logits.masked_fill(masked, 0.0)
        length = torch.linalg.vector_norm(finite, dim=axis, keepdim=True)
        scale = (temperature * torch.hypot(length, torch.full_like(length, SHORTEST))).reciprocal_()
        unit = finite * scale
        ctx.save_for_backward(logits, unit, scale, masked)
        ctx.temperature, ctx.axis = temperature, axis
        return unit if masked is None else unit.masked_fill(masked, -torch.inf)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        logits, unit, scale, masked = ctx.saved_tensors
        if torch.is_grad_enabled():  # double backward: the derivative must be differentiable itself
            formula = normalised_formula(logits, ctx.temperature)
            return torch.autograd.grad(formula, logits, grad, create_graph=True)[0], None, None
        grad = grad if masked is None else grad.masked_fill(masked, 0.0)
        held = unit * grad  # reused: a tensor of this size costs as much as a pass over it
        along = held.sum(dim=ctx.axis, keepdim=True)
        slope = torch.mul(unit, along * -(ctx.temperature**2), out=held).add_(grad).mul_(scale)
        return slope, None, None


class LogitNormLoss(ClassificationLoss):
    """Cross-entropy of logits divided by their length, so that growing them cannot lower the loss.

    Made for out-of-distribution detection. The plain softmax of the trained model is much less confident than that of
    the normalised logits: scale it (temperature) before reading probabilities.

    Formula: cross-entropy of ``z / (temperature sqrt(||z||^2 + 1e-6))``; a class masked with -inf stays masked.

    Args:
        temperature: Length that the normalised logits get is 1 / temperature, > 0.

    Example:
        >>> LogitNormLoss(temperature=1.0)(torch.tensor([[3.0, 4.0]]), torch.tensor([1]))
        tensor(0.5981)

    Reference:
        Wei, Xie, Cheng, Feng, An and Li, "Mitigating neural network overconfidence with logit normalization",
        ICML 2022, https://arxiv.org/abs/2205.09310, equation 6; the default temperature is theirs for CIFAR-10.

    Differs from the paper: the small constant that keeps the length from 0 is 1e-3 where the authors' code adds 1e-7.
    """

    def __init__(
        self, weight: Tensor | None = None, *, temperature: float = 0.04, **options: Unpack[OtherOptions]
    ) -> None:
        super().__init__(weight, **options)
        self.temperature = check_number("temperature", temperature, low=0.0, open_low=True)

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        check_labels_match(logits, labels)
        wide = normalised(at_least_float32(logits), temperature=self.temperature)
        return self.cross_entropy(wide, labels).to(output_dtype(logits))


add_loss(
    name="logit_norm",
    title="Logit normalisation",
    cls=LogitNormLoss,
    formula="cross-entropy of z / (τ ||z||)",
    paper="Wei et al., ICML 2022, arXiv:2205.09310",
    year=2022,
    use="For out-of-distribution detection; scale its softmax before reading probabilities.",
)
