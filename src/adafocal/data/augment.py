# SPDX-License-Identifier: Apache-2.0
"""Augmentation and normalisation of whole batches, on the device that holds them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def random_shift(images: Tensor, *, pad: int, generator: torch.Generator | None = None) -> Tensor:
    """Shift each image by up to ``pad`` pixels in each direction, with zeros where nothing was: padding and cropping.

    Args:
        images: Shape (N, C, H, W).
        pad: Largest shift in pixels.
        generator: Source of the shifts, on the device of ``images``; None is torch's own.

    Returns:
        Images of the same shape and dtype.

    Example:
        >>> random_shift(torch.ones(1, 1, 4, 4), pad=0).sum()
        tensor(16.)
    """
    n, _, height, width = images.shape
    padded = F.pad(images, (pad, pad, pad, pad))
    top, left = torch.randint(2 * pad + 1, (2, n, 1), device=images.device, generator=generator)
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.arange(width, device=images.device)
    which = torch.arange(n, device=images.device)
    # Indexing by (N, H, W) rows puts the channels last.
    return padded[which[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def random_flip(images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Mirror each image with probability 1/2.

    Args:
        images: Shape (N, C, H, W).
        generator: Source of the choices, on the device of ``images``; None is torch's own.

    Returns:
        Images of the same shape and dtype.
    """
    chosen = torch.rand((len(images), 1, 1, 1), device=images.device, generator=generator) < 0.5
    return torch.where(chosen, images.flip(3), images)


def normalise(images: Tensor, *, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Tensor:
    """Scale uint8 images to [0, 1], then subtract and divide by numbers per channel.

    Args:
        images: Shape (N, C, H, W); uint8, or floating point that spans [0, 1] already.
        mean: Mean of each channel where pixels span [0, 1].
        deviation: Standard deviation of each channel.

    Returns:
        Floating-point images of the same shape, float32 from uint8.
    """
    images = images.float() / 255.0 if images.dtype == torch.uint8 else images
    shift, scale = (images.new_tensor(values).view(1, -1, 1, 1) for values in (mean, deviation))
    return (images - shift) / scale


@dataclass(frozen=True)
class ImageTransform:
    """Turn a batch of stored images into the inputs of a network.

    Attributes:
        mean: Mean of each channel where pixels span [0, 1].
        deviation: Standard deviation of each channel.
        pad: Largest random shift in training, in pixels; 0 for none.
        flip: Whether images are mirrored at random in training.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    pad: int = 0
    flip: bool = False

    def __call__(self, images: Tensor, *, training: bool = False, generator: torch.Generator | None = None) -> Tensor:
        """Augment if ``training``, then normalise."""
        if training and self.pad:
            images = random_shift(images, pad=self.pad, generator=generator)
        if training and self.flip:
            images = random_flip(images, generator=generator)
        return normalise(images, mean=self.mean, deviation=self.deviation)


def pixel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure mean and standard deviation of each channel of uint8 images, where pixels span [0, 1].

    Args:
        images: Shape (N, C, H, W), uint8.

    Returns:
        Means and deviations; a channel that never varies has deviation 1.
    """
    value = torch.arange(256, dtype=torch.float64) / 255.0
    means, deviations = [], []
    for channel in range(images.shape[1]):
        share = torch.bincount(images[:, channel].flatten(), minlength=256).double()
        share = share / share.sum()
        mean = float(share @ value)
        deviation = float(share @ (value - mean).square()) ** 0.5
        means.append(mean)
        deviations.append(deviation or 1.0)
    return tuple(means), tuple(deviations)
