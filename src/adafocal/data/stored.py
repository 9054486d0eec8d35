# SPDX-License-Identifier: Apache-2.0
"""Images that stay encoded: decoded at once for small sets, batch by batch in threads for large ones."""

import os
import re
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import require
from adafocal._text import printable
from adafocal.errors import InvalidValueError

Crop: TypeAlias = Literal["none", "center", "random"]
MEMORY = re.compile(r" <_io\.BytesIO object at 0x[0-9a-f]+>")
TURNED = range(2, 9)  # values of EXIF's orientation that turn or mirror


@dataclass(frozen=True, eq=False)
class StoredImages:
    """A sequence of encoded images that gives uint8 batches; a peer of a tensor of shape (N, C, H, W).

    Decoding and scaling release Python's lock, so threads do what worker processes would, without copies.

    Attributes:
        items: Encoded bytes, paths of files, or arrays of shape (H, W) or (H, W, C); indexed by integers.
        rows: Which of them, in order, int64, shape (N,).
        channels: 1 for grey, 3 for colour.
        size: Height and width of what comes out; None where all images have one size already.
        crop: ``center`` scales the shorter side to 8/7 of the size and cuts out the middle, ``random`` scales a random
            part of 8 to 100 % of the area (Inception's training crop), ``none`` scales without cutting.
        upright: Whether images are turned as their cameras say, laid on white where they are transparent, and their 16
            bits cut to 8; as ever, those of published sets are not.
    """

    items: Sequence[object]
    rows: Tensor
    channels: int
    size: tuple[int, int] | None = None
    crop: Crop = "none"
    upright: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> torch.Size:
        """Shape (N, C, H, W)."""
        first = int(self.rows[0])
        height, width = self.size or _open(self.items[first], self.channels, upright=self.upright).size[::-1]
        return torch.Size((len(self), self.channels, height, width))

    def __getitem__(self, rows: Tensor) -> Tensor:
        return self.fetch(rows)

    def fetch(self, rows: Tensor, *, seed: int = 0) -> Tensor:
        """Decode a batch; ``seed`` fixes the random crops.

        Raises:
            ValueError: If the images have different sizes and no ``size`` is set, or one cannot be read.
        """
        generator = np.random.default_rng(seed)
        arrays = [self._array(int(self.rows[row]), generator) for row in rows.tolist()]
        first = arrays[0].shape if arrays else ()
        for row, array in zip(rows.tolist(), arrays, strict=True):
            _check_one_size(first[:2], array.shape[:2], f" (image {int(self.rows[row])})")
        if not arrays:
            return torch.empty((0, *self.shape[1:]), dtype=torch.uint8)
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()

    def batches(self, rows: Sequence[Tensor], *, seed: int, workers: int | None = None) -> Iterator[Tensor]:
        """Yield batches in order, while threads decode the next ones.

        Args:
            rows: Rows of each batch.
            seed: Seed of the random crops, whatever the number of threads.
            workers: Threads; None is one per core.
        """
        workers = workers or os.cpu_count() or 1
        with ThreadPoolExecutor(workers) as pool:
            ahead: deque[Future[Tensor]] = deque()
            try:
                for number, batch in enumerate(rows):
                    ahead.append(pool.submit(self.fetch, batch, seed=seed + number))
                    if len(ahead) > workers + 1:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:  # who leaves the loop early does not wait for batches that nobody takes
                    future.cancel()

    def _array(self, item: int, generator: np.random.Generator) -> np.ndarray:
        with said_of(self.items[item], item):
            image = _open(self.items[item], self.channels, upright=self.upright)
        if self.size is not None:
            image = _fit(image, self.size, self.crop, generator)
        array = np.asarray(image)
        return array if array.ndim == 3 else array[:, :, None]


def decode_images(stored: StoredImages, *, chunk: int = 256) -> Tensor:
    """Decode all images into memory, in one thread per core.

    Returns:
        uint8, shape (N, C, H, W).
    """
    items = [stored.items[row] for row in stored.rows.tolist()] if stored.size is None else []
    if items and all(isinstance(item, np.ndarray) for item in items):
        array = np.stack(items)  # decoded already
        channels_last = array[..., None] if array.ndim == 3 else array
        return torch.from_numpy(channels_last).permute(0, 3, 1, 2).contiguous()
    batches = stored.batches(torch.split(torch.arange(len(stored)), chunk), seed=0)
    images: Tensor | None = None
    for number, batch in enumerate(batches):
        if images is None:
            images = torch.empty((len(stored), *batch.shape[1:]), dtype=torch.uint8)
        _check_one_size(tuple(images.shape[2:]), tuple(batch.shape[2:]))
        images[number * chunk : number * chunk + len(batch)] = batch
    return torch.empty((0, stored.channels, 0, 0), dtype=torch.uint8) if images is None else images


def _check_one_size(first: tuple[int, ...], other: tuple[int, ...], where: str = "") -> None:
    if first != other:
        raise InvalidValueError(
            f"Images must have one size, or `data.image_size` must be set, got {first} and {other}{where}."
        )


def channels_of(item: object) -> int:
    """Tell grey images, 1 channel, from all others, 3."""
    if isinstance(item, np.ndarray):
        return 1 if is_grey(item) else 3
    with said_of(item, None), opened(item) as image:
        return 1 if is_grey(image) else 3


def is_grey(image: Any) -> bool:
    """Tell whether an image, an array or one that Pillow has opened, has no colours."""
    if isinstance(image, np.ndarray):
        return image.ndim == 2 or image.shape[2] == 1
    return image.mode in ("1", "L", "LA", "I;16", "I;16B", "I")


def opened(item: object) -> Any:
    """Open an encoded image; its pixels are not read yet."""
    return _pillow().open(BytesIO(item) if isinstance(item, bytes) else item)


@contextmanager
def said_of(item: object, number: int | None) -> Iterator[None]:
    """Say which image cannot be read; the block calls nothing but Pillow, whose readers stumble in many ways."""
    kinds = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error, zlib.error)
    try:
        yield
    except (*kinds, _pillow().DecompressionBombError) as error:
        what = "the first" if number is None else f"image {number}"
        place = f" ({item})" if isinstance(item, Path) and str(item) not in str(error) else ""
        said = MEMORY.sub("", str(error)).rstrip(".")
        why = printable(f"{said}{place}", longest=300)
        raise InvalidValueError(f"Images must be readable, got {what} with {why}.") from error


def _open(item: Any, channels: int, *, upright: bool) -> Any:
    mode = "L" if channels == 1 else "RGB"
    if isinstance(item, np.ndarray):
        return _pillow().fromarray(item.squeeze()).convert(mode)
    with opened(item) as image:
        return (_plain(image) if upright else image).convert(mode)


def _plain(image: Any) -> Any:
    """Turn an image upright, lay what is transparent on white, and keep the upper 8 bits of 16."""
    image = require("PIL.ImageOps", extra="train").exif_transpose(image)
    if image.mode.startswith("I"):
        return _pillow().fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))
    if "A" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        return _pillow().alpha_composite(_pillow().new("RGBA", image.size, "white"), image)
    return image


def _fit(image: Any, size: tuple[int, int], crop: str, generator: np.random.Generator) -> Any:
    height, width = size
    box = None
    if crop == "random":
        box = _random_box(image.width, image.height, generator)
    elif crop == "center":
        scale = min(image.width / width, image.height / height) * 7 / 8
        left, top = (image.width - scale * width) / 2, (image.height - scale * height) / 2
        box = (left, top, left + scale * width, top + scale * height)
    if box is None and image.size == (width, height):
        return image
    return image.resize((width, height), resample=_pillow().Resampling.BILINEAR, box=box)


def _random_box(width: int, height: int, generator: np.random.Generator) -> tuple[float, float, float, float]:
    for _ in range(10):
        area = width * height * generator.uniform(0.08, 1.0)
        ratio = np.exp(generator.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = float(np.sqrt(area * ratio)), float(np.sqrt(area / ratio))
        if w <= width and h <= height:
            left, top = generator.uniform(0, width - w), generator.uniform(0, height - h)
            return left, top, left + w, top + h
    side = min(width, height)
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


def _pillow() -> Any:
    return require("PIL.Image", extra="train")
