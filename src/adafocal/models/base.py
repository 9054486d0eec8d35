# SPDX-License-Identifier: Apache-2.0
"""What models share: a head on the penultimate layer, and how they read the shape of one sample."""

from collections.abc import Sequence

from torch import Tensor, nn

from adafocal.errors import InvalidValueError


class HeadedModel(nn.Module):
    """A network whose logits are what its ``head`` makes of its ``features``."""

    head: nn.Module

    def features(self, inputs: Tensor) -> Tensor:
        """Compute the penultimate layer, shape (N, D)."""
        raise NotImplementedError

    def forward(self, inputs: Tensor) -> Tensor:
        """Classify, by logits of shape (N, C), or (N, C, d1, …) where every place has its own."""
        logits: Tensor = self.head(self.features(inputs))
        return logits


def image_channels(input_shape: Sequence[int]) -> int:
    """Read the channels of an image of shape (C, H, W).

    Raises:
        ValueError: If the shape is not that of an image.
    """
    if len(input_shape) != 3:
        raise InvalidValueError(
            f"`input_shape` must be (channels, height, width) of an image, got {tuple(input_shape)}."
        )
    return input_shape[0]


def sequence_length(input_shape: Sequence[int]) -> int:
    """Read the length of a token sequence of shape (L,).

    Raises:
        ValueError: If the shape is not that of a sequence.
    """
    if len(input_shape) != 1:
        raise InvalidValueError(f"`input_shape` must be (length,) of a token sequence, got {tuple(input_shape)}.")
    return input_shape[0]
