# SPDX-License-Identifier: Apache-2.0
"""Corruptions of images at five severities, made on the fly: how a classifier behaves when the data shift.

The families of CIFAR-10-C that need no image files, with its strengths. Those are made for 32 x 32 pixels; on larger
images the blurs and the pixelation are milder than in the benchmarks made for those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from adafocal._checks import check_choice, check_integer, require
from adafocal.errors import InvalidTypeError, InvalidValueError


def corrupt(images: Tensor, name: str, *, severity: int, generator: torch.Generator | None = None) -> Tensor:
    """Corrupt a batch of images.

    Args:
        images: uint8, shape (N, C, H, W), before normalisation; 1 or 3 channels.
        name: A key of ``CORRUPTIONS``.
        severity: 1 (mild) to 5 (strong).
        generator: Source of the noise, on the device of ``images``; None is torch's own.

    Returns:
        uint8 images of the same shape.

    Raises:
        TypeError: If the images are not uint8.
        ValueError: If the name is unknown, the severity is not 1 to 5, or the shape is not that of images.

    Example:
        >>> images = torch.full((1, 3, 32, 32), 100, dtype=torch.uint8)
        >>> corrupt(images, "brightness", severity=3).unique()
        tensor([138], dtype=torch.uint8)

    Reference:
        Hendrycks, Dietterich: Benchmarking neural network robustness to common corruptions and perturbations,
        ICLR 2019, https://arxiv.org/abs/1903.12261, section 3.

    Differs from the paper:
        Blurs mirror the border and reach 4 pixels.
    """
    check_choice("name", name, tuple(CORRUPTIONS))
    check_integer("severity", severity, minimum=1)
    if severity > 5:
        raise InvalidValueError(f"`severity` must be an integer from 1 to 5, got {severity}.")
    if images.dtype != torch.uint8:
        raise InvalidTypeError(f"`images` must be uint8, got dtype {images.dtype}.")
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise InvalidValueError(f"`images` must have shape (N, 1 or 3, H, W), got {tuple(images.shape)}.")
    corruption = CORRUPTIONS[name]
    source = (generator,) if corruption.random else ()
    pixels = corruption.apply(images.float() / 255.0, corruption.strengths[severity - 1], *source)
    return (pixels.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)


def gaussian_noise(pixels: Tensor, strength: float, generator: torch.Generator | None) -> Tensor:
    """Add normal noise of a standard deviation."""
    return pixels + strength * _normal(pixels, generator)


def shot_noise(pixels: Tensor, strength: float, generator: torch.Generator | None) -> Tensor:
    """Count photons: a Poisson variable of mean ``strength`` at full brightness."""
    return torch.poisson(pixels * strength, generator=generator) / strength


def impulse_noise(pixels: Tensor, strength: float, generator: torch.Generator | None) -> Tensor:
    """Set a share of the values to 0 or 1."""
    uniform = torch.rand(pixels.shape, device=pixels.device, generator=generator)
    salt = torch.rand(pixels.shape, device=pixels.device, generator=generator) < 0.5
    return torch.where(uniform < strength, salt.to(pixels.dtype), pixels)


def speckle_noise(pixels: Tensor, strength: float, generator: torch.Generator | None) -> Tensor:
    """Add normal noise in proportion to the brightness."""
    return pixels * (1.0 + strength * _normal(pixels, generator))


def gaussian_blur(pixels: Tensor, strength: float) -> Tensor:
    """Blur by a Gaussian of a standard deviation in pixels."""
    line = torch.exp(-0.5 * (torch.arange(-4.0, 5.0, device=pixels.device) / strength).square())
    return _filter(pixels, line[:, None] * line[None, :])


def defocus_blur(pixels: Tensor, strength: tuple[float, float]) -> Tensor:
    """Blur by a disk of a radius in pixels, itself softened by a Gaussian."""
    radius, softness = strength
    place = torch.arange(-4.0, 5.0, device=pixels.device)
    disk = (place[:, None].square() + place[None, :].square() <= radius**2).float()
    line = torch.exp(-0.5 * (torch.arange(-1.0, 2.0, device=pixels.device) / softness).square())
    soft = line[:, None] * line[None, :]
    return _filter(pixels, F.conv2d(disk[None, None], soft[None, None], padding=1)[0, 0])


def contrast(pixels: Tensor, strength: float) -> Tensor:
    """Draw each channel of each image towards its mean."""
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    return mean + strength * (pixels - mean)


def brightness(pixels: Tensor, strength: float) -> Tensor:
    """Raise the value of hue, saturation and value; the other two stay."""
    value = pixels.amax(dim=1, keepdim=True)
    raised = (value + strength).clamp_max(1.0)
    return torch.where(value > 0, pixels * raised / value.clamp_min(1e-8), raised)


def pixelate(pixels: Tensor, strength: float) -> Tensor:
    """Shrink each image by a factor, and enlarge it again, both by Pillow's box filter."""
    box = require("PIL.Image", extra="train").Resampling.BOX

    def shrink(image: Any) -> Any:
        small = max(int(image.width * strength), 1), max(int(image.height * strength), 1)
        return image.resize(small, box).resize(image.size, box)

    return _each(pixels, shrink)


def jpeg(pixels: Tensor, strength: float) -> Tensor:
    """Compress each image at a JPEG quality."""
    pillow = require("PIL.Image", extra="train")

    def compress(image: Any) -> Any:
        file = BytesIO()
        image.save(file, "JPEG", quality=int(strength))
        return pillow.open(file)

    return _each(pixels, compress)


@dataclass(frozen=True)
class Corruption:
    """A family of corruptions.

    Attributes:
        name: Its name.
        apply: Takes pixels in [0, 1], a strength, and a generator if random; gives pixels that may leave [0, 1].
        strengths: One per severity, mild to strong.
        random: Whether it draws noise.
    """

    name: str
    apply: Callable[..., Tensor]
    strengths: Sequence[float | tuple[float, float]]
    random: bool = False


FAMILIES = (
    Corruption("gaussian_noise", gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10), random=True),
    Corruption("shot_noise", shot_noise, (500, 250, 100, 75, 50), random=True),
    Corruption("impulse_noise", impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07), random=True),
    Corruption("speckle_noise", speckle_noise, (0.06, 0.10, 0.12, 0.16, 0.20), random=True),
    Corruption("gaussian_blur", gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1.0)),
    Corruption("defocus_blur", defocus_blur, ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))),
    Corruption("contrast", contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    Corruption("brightness", brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    Corruption("pixelate", pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
    Corruption("jpeg", jpeg, (80, 65, 58, 50, 40)),
)
CORRUPTIONS = {family.name: family for family in FAMILIES}


def _normal(pixels: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(pixels.shape, device=pixels.device, generator=generator)


def _each(pixels: Tensor, change: Callable[[Any], Any]) -> Tensor:
    """Apply a function of Pillow images to each image."""
    pillow = require("PIL.Image", extra="train")
    changed = torch.empty(pixels.shape, dtype=torch.uint8)
    for place, array in enumerate((pixels * 255.0).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()):
        image = change(pillow.fromarray(array.squeeze(2) if array.shape[2] == 1 else array))
        changed[place] = torch.from_numpy(np.array(image).reshape(array.shape)).permute(2, 0, 1)
    return changed.to(pixels.device).float() / 255.0


def _filter(pixels: Tensor, kernel: Tensor) -> Tensor:
    channels, reach = pixels.shape[1], kernel.shape[0] // 2
    reach = min(reach, min(pixels.shape[2:]) - 1)  # a border that is mirrored must be narrower than the image
    middle = kernel.shape[0] // 2
    kernel = kernel[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    weight = (kernel / kernel.sum()).expand(channels, 1, -1, -1)
    return F.conv2d(F.pad(pixels, (reach,) * 4, mode="reflect"), weight, groups=channels)
