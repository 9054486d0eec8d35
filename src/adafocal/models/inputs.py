# SPDX-License-Identifier: Apache-2.0
"""What a model reads from the shape of one sample."""

from collections.abc import Sequence

from adafocal.errors import InvalidValueError


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
