# SPDX-License-Identifier: Apache-2.0
"""A multilayer perceptron for small inputs of any shape."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from adafocal._checks import check_integer
from adafocal.models.base import HeadedModel


class MLP(HeadedModel):
    """Fully connected layers with ReLU between them.

    Args:
        input_shape: Shape of one sample; it is flattened.
        n_classes: Number of classes C.
        width: Units of each hidden layer.
        depth: Number of hidden layers, at least 1.

    Raises:
        ValueError: If ``width`` or ``depth`` is below 1.
    """

    def __init__(self, *, input_shape: Sequence[int], n_classes: int, width: int = 256, depth: int = 2) -> None:
        super().__init__()
        check_integer("width", width, minimum=1)
        check_integer("depth", depth, minimum=1)
        sizes = [prod(input_shape)] + [width] * depth
        layers = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)]
        self.body = nn.Sequential(nn.Flatten(), *[module for layer in layers for module in layer])
        self.head = nn.Linear(width, n_classes)

    def features(self, inputs: Tensor) -> Tensor:
        """Compute the penultimate layer, shape (N, width)."""
        hidden: Tensor = self.body(inputs)
        return hidden
