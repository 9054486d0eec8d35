# SPDX-License-Identifier: Apache-2.0
"""Logit normalisation: cross-entropy of logits with their length taken out."""

import torch
from torch import Tensor

from adafocal._checks import check_labels_match, check_number
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.targets import class_axis
from adafocal.losses.terms import ClassificationLoss, output_dtype, wide_cross_entropy

SHORTEST = 1e-3  # keeps the slope at zero logits defined, and within half precision


class LogitNormLoss(ClassificationLoss):
    """Cross-entropy of logits divided by their length, so that growing them cannot lower the loss.

    Made for out-of-distribution detection. The plain softmax of the trained model is much less confident than that of
    the normalised logits: scale it (temperature) before reading probabilities.

    Formula: cross-entropy of ``z / (temperature sqrt(||z||^2 + 1e-6))``; a class masked with -inf stays masked.

    Args:
        temperature: Length that the normalised logits get is 1 / temperature, > 0.
        weight: Weight per class, shape (C,).
        ignore_index: Class index whose samples do not count.
        reduction: ``none``, ``mean`` or ``sum``.
        label_smoothing: Share of the target spread evenly over the classes, in [0, 1].

    Raises:
        TypeError: If ``temperature`` is not a number.
        ValueError: If ``temperature`` is not positive or another option is out of range.

    Example:
        >>> LogitNormLoss(temperature=1.0)(torch.tensor([[3.0, 4.0]]), torch.tensor([1]))
        tensor(0.5981)

    Reference:
        Wei, Xie, Cheng, Feng, An and Li, "Mitigating neural network overconfidence with logit normalization",
        ICML 2022, https://arxiv.org/abs/2205.09310, equation 6; the default temperature is theirs for CIFAR-10.

    Differs from the paper: the small constant that keeps the length from 0 is 1e-3 where the authors' code adds 1e-7.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.04,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
        check_number("temperature", temperature, low=0.0, open_low=True)
        self.temperature = temperature

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Give the unreduced loss of each sample."""
        check_labels_match(logits, labels)
        wide = at_least_float32(logits)
        masked = wide == -torch.inf
        finite = wide.masked_fill(masked, 0.0)
        length = (finite.square().sum(dim=class_axis(logits), keepdim=True) + SHORTEST**2).sqrt()
        return wide_cross_entropy(
            (finite / (self.temperature * length)).masked_fill(masked, -torch.inf),
            labels,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        ).to(output_dtype(logits))
