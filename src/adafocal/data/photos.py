# SPDX-License-Identifier: Apache-2.0
"""Images of somebody's own, looked at before they are decoded: which can be read, their colours and their sizes."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from adafocal._text import listed
from adafocal.data.stored import TURNED, is_grey, opened, said_of
from adafocal.errors import InvalidValueError

ORIENTATION = 0x0112  # of EXIF


@dataclass(frozen=True)
class Photos:
    """What images are like.

    Attributes:
        channels: 1 where all are grey, else 3.
        notes: What is done to them, a sentence each.
    """

    channels: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Head:
    grey: bool
    size: tuple[int, int]
    mode: str
    turned: bool = False
    fault: str | None = None


def look_at(inputs: Sequence[Sequence[object]], size: tuple[int, int] | None) -> Photos | None:
    """Read the heads of all images.

    Args:
        inputs: Images of each part; what ``datasets`` maps from disk is not looked at.
        size: Height and width that they are scaled to; None where they are to keep theirs.

    Returns:
        What they are like; None where they are not looked at.

    Raises:
        ValueError: If one cannot be read, or they have several sizes and are not scaled.
    """
    lists = list({id(one): one for one in inputs}.values())
    if not all(isinstance(one, list) for one in lists):
        return None
    images = [image for one in lists for image in one]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        heads = list(pool.map(_head, images, range(len(images)), chunksize=64))
    faults = [head.fault for head in heads if head.fault is not None]
    if faults:
        more = f"; {len(faults) - 1:,} others cannot be read either" if len(faults) > 1 else ""
        raise InvalidValueError(f"Images must be readable, got {faults[0]}{more}: save them anew, or remove them.")
    if size is None:
        _check_one_size(Counter(head.size for head in heads))
    channels = 1 if all(head.grey for head in heads) else 3
    return Photos(channels, _notes(heads, channels))


def _head(image: object, number: int) -> _Head:
    if isinstance(image, np.ndarray):
        return _Head(is_grey(image), (image.shape[0], image.shape[1]), "array")
    try:
        with said_of(image, number), opened(image) as held:
            turned = held.getexif().get(ORIENTATION, 1) in TURNED
            width, height = held.size
            if turned and held.getexif()[ORIENTATION] > 4:
                width, height = height, width
            has_alpha = "A" in held.mode or "transparency" in held.info
            return _Head(is_grey(held), (height, width), f"{held.mode}{'+' * has_alpha}", turned)
    except InvalidValueError as error:
        fault = str(error).removeprefix("Images must be readable, got ").rstrip(".")
        return _Head(True, (0, 0), "", fault=fault)


def _check_one_size(sizes: Counter[tuple[int, int]]) -> None:
    if len(sizes) < 2:
        return
    (first, _), (other, _) = sizes.most_common(2)
    sides = sorted(min(size) for size in sizes.elements())
    usual = max(32, min(224, 32 * round(sides[len(sides) // 2] / 32)))
    raise InvalidValueError(
        f"Images must have one size, or `data.image_size` must be set, got {first} and {other} ({len(sizes):,} sizes, "
        f"height x width): `--data.image_size {usual}` scales them to {usual} x {usual}."
    )


def _notes(heads: Sequence[_Head], channels: int) -> tuple[str, ...]:
    found = {
        "made colour, as others are": sum(head.grey for head in heads) if channels == 3 else 0,
        "turned upright as their cameras say": sum(head.turned for head in heads),
        "laid on white where they are transparent": sum(head.mode.endswith("+") for head in heads),
        "cut from 16 bits to 8": sum(head.mode.startswith("I") for head in heads),
        "turned from CMYK to RGB": sum(head.mode.startswith("CMYK") for head in heads),
    }
    said = [f"{count:,} {what}" for what, count in found.items() if count]
    return (f"Images: {listed(said)}",) if said else ()
