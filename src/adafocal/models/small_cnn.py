# SPDX-License-Identifier: Apache-2.0
"""A small convolutional network, for machines without an accelerator."""

from collections.abc import Sequence

from torch import Tensor, nn

from adafocal._checks import check_integer
from adafocal.models.base import HeadedModel, image_channels
from adafocal.models.resnet import conv


class SmallCNN(HeadedModel):
    """Convolutions of 3x3 with normalisation; each but the first halves the sides and doubles the channels.

    Args:
        input_shape: Shape (C, H, W) of an image.
        n_classes: Number of classes.
        width: Channels of the first convolution.
        depth: Number of convolutions.

    Raises:
        ValueError: If ``width`` or ``depth`` is below 1, or the input is no image.
    """

    def __init__(self, *, input_shape: Sequence[int], n_classes: int, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        check_integer("width", width, minimum=1)
        check_integer("depth", depth, minimum=1)
        sizes = [image_channels(input_shape)] + [width * 2**i for i in range(depth)]
        layers: list[nn.Module] = []
        for i in range(depth):
            stride = 1 if i == 0 else 2
            layers += [conv(sizes[i], sizes[i + 1], kernel=3, stride=stride), nn.BatchNorm2d(sizes[i + 1]), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(sizes[-1], n_classes)

    def features(self, inputs: Tensor) -> Tensor:
        """Average the last activations over all places: the penultimate layer, shape (N, width · 2^(depth - 1))."""
        hidden: Tensor = self.body(inputs)
        return hidden.mean(dim=(2, 3))
