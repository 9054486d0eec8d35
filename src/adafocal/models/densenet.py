# SPDX-License-Identifier: Apache-2.0
"""Densely connected networks for small images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adafocal._checks import check_integer
from adafocal.errors import InvalidValueError
from adafocal.models.base import HeadedModel, image_channels
from adafocal.models.resnet import conv

BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


class DenseLayer(nn.Module):
    """Append ``growth`` channels, computed by a 1x1 and a 3x3 convolution, to what comes in.

    Args:
        channels: Channels that come in.
        growth: Channels that are added.
    """

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), conv(channels, 4 * growth, kernel=1)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), conv(4 * growth, growth, kernel=3)

    def forward(self, inputs: Tensor) -> Tensor:
        """Append channels: activations of shape (N, channels + growth, H, W)."""
        hidden = self.conv1(F.relu(self.norm1(inputs)))
        return torch.cat([inputs, self.conv2(F.relu(self.norm2(hidden)))], dim=1)


class DenseNet(HeadedModel):
    """Four dense blocks; between them channels and sides are halved.

    Args:
        input_shape: Shape (C, H, W) of an image.
        n_classes: Number of classes.
        depth: 121, 169 or 201.
        growth: Channels that each layer adds.

    Raises:
        ValueError: If an argument is out of range or the input is no image.

    Reference:
        Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional networks, CVPR 2017,
        https://arxiv.org/abs/1608.06993, table 1.

    Differs from the paper:
        The stem is a 3x3 convolution at full size instead of 7x7 and pooling, as the calibration papers use it on
        CIFAR (Mukhoti et al., NeurIPS 2020).
    """

    def __init__(self, *, input_shape: Sequence[int], n_classes: int, depth: int = 121, growth: int = 32) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise InvalidValueError(f"`depth` must be one of {', '.join(map(str, BLOCKS))}, got {depth!r}.")
        check_integer("growth", growth, minimum=1)
        channels = 2 * growth
        layers: list[nn.Module] = [conv(image_channels(input_shape), channels, kernel=3)]
        for place, count in enumerate(BLOCKS[depth]):
            if place > 0:
                layers += [nn.BatchNorm2d(channels), nn.ReLU(), conv(channels, channels // 2, kernel=1)]
                layers += [nn.AvgPool2d(2)]
                channels //= 2
            layers += [DenseLayer(channels + i * growth, growth) for i in range(count)]
            channels += count * growth
        self.body = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU())
        self.head = nn.Linear(channels, n_classes)

    def features(self, inputs: Tensor) -> Tensor:
        """Average the last activations over all places: the penultimate layer, shape (N, D)."""
        hidden: Tensor = self.body(inputs)
        return hidden.mean(dim=(2, 3))
