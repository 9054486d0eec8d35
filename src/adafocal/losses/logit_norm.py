# SPDX-License-Identifier: Apache-2.0
"""Logit normalisation: cross-entropy of logits with their length taken out."""

import math
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import can_read, check_labels_match, check_number, traced
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.cross_entropy import output_dtype
from adafocal.losses.derived import Derived, Kept
from adafocal.losses.reduced import constant, cross_entropy_with_slope
from adafocal.losses.targets import class_axis

__all__ = ["LogitNormLoss"]

SHORTEST = 1e-3  # keeps the slope at zero logits defined, and within half precision


def normalised(logits: Logits, *, temperature: float) -> Logits:
    """Scale logits to the length 1 / temperature; a class masked with -inf stays so, and adds nothing to the length."""
    if traced():
        return normalised_formula(logits, temperature)
    return _Normalise(temperature, class_axis(logits))(logits)


def normalised_formula(logits: Tensor, temperature: float) -> Tensor:
    """Scale logits as a plain graph."""
    masked = logits == -torch.inf
    finite = logits.masked_fill(masked, 0.0)
    length = (finite.square().sum(dim=class_axis(logits), keepdim=True) + SHORTEST**2).sqrt()
    return (finite / (temperature * length)).masked_fill(masked, -torch.inf)


class _Normalise(Derived):
    """The scaling: with u the result, its derivative is (g - τ² u (u · g)) / (τ length)."""

    def __init__(self, temperature: float, axis: int) -> None:
        self.temperature, self.axis = temperature, axis

    def formula(self, x: Tensor) -> Tensor:
        """Compute it as a plain graph."""
        return normalised_formula(x, self.temperature)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute it, u, its scale, and what is masked."""
        masked, finite, length = None, x, self._length(x) if can_read(x) and x.numel() > 0 else None
        # Nobody waits for an accelerator to learn whether a class is masked.
        if length is None or not float(length.amax()) < math.inf:
            masked = x == -torch.inf
            finite = x.masked_fill(masked, 0.0)
            length = self._length(finite)
        square, shortest = self.temperature**2, SHORTEST * self.temperature
        scale = torch.addcmul(constant(shortest**2, x.dtype), length, length, value=square).rsqrt_()
        unit = finite * scale
        return unit if masked is None else unit.masked_fill(masked, -torch.inf), (unit, scale, masked)

    def _length(self, x: Tensor) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(x, dim=self.axis, keepdim=True)
        return length

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative."""
        unit, scale, masked = kept
        grad = grad if masked is None else grad.masked_fill(masked, 0.0)
        held = unit * grad  # reused: a tensor of this size costs as much as a pass over it
        along = held.sum(dim=self.axis, keepdim=True)
        return torch.addcmul(grad, unit, along, value=-(self.temperature**2), out=held).mul_(scale)


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

    sigmoid_undefined = "whose logits (0, z) would keep nothing but their sign"

    def __init__(
        self, weight: Tensor | None = None, *, temperature: float = 0.04, **options: Unpack[OtherOptions]
    ) -> None:
        super().__init__(weight, **options)
        self.temperature = check_number("temperature", temperature, low=0.0, open_low=True)

    has_slope = True

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample."""
        check_labels_match(logits, labels)
        wide = normalised(at_least_float32(logits), temperature=self.temperature)
        return self.cross_entropy(wide, labels).to(output_dtype(logits))

    def with_slope(self, logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Compute losses and their derivative: that by the normalised logits is p - y."""
        function = _Normalise(self.temperature, 1)
        normal, (unit, scale, masked) = function.value(logits)
        assert scale is not None
        losses, _, slope = cross_entropy_with_slope(normal, place)
        return losses, function.slope(slope, logits, unit, scale.mul_(constant(factor, scale.dtype)), masked)


add_loss(
    name="logit_norm",
    title="Logit normalisation",
    cls=LogitNormLoss,
    formula="cross-entropy of z / (τ ||z||)",
    paper="Wei et al., ICML 2022, arXiv:2205.09310",
    year=2022,
    use="For out-of-distribution detection; scale its softmax before reading probabilities.",
)
