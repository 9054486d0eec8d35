# SPDX-License-Identifier: Apache-2.0
"""Volumes for segmentation: normalised case by case, brought to one size, and split by case."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adafocal.data.config import DataConfig, share_of
from adafocal.data.splits import DataSplits, Split, size_within, stratified_parts
from adafocal.data.volume_files import Array, Case, read_cases
from adafocal.errors import InvalidValueError, MissingFileError

IGNORED = -100  # the label of voxels that were padded
VALIDATION, TEST = 0.15, 0.25  # shares of the cases where the settings do not say
MULTIPLE = 16  # sides that a U-Net can halve four times


def volume_splits(
    config: DataConfig, *, seed: int, folders: tuple[str, ...] = (), class_names: tuple[str, ...] = ()
) -> DataSplits:
    """Load volumes with masks and split the cases at random.

    Every channel of a case is shifted and scaled to mean 0 and deviation 1 over its own voxels. Then cases are padded
    to one size, with intensity 0 and a label that is ignored; what exceeds ``config.volume_size`` is cut off evenly on
    both sides. All cases stay in memory, at two bytes per voxel and channel and eight per label.

    Args:
        config: Where the data lie, sizes of the parts in cases (15 % for validation and 25 % for test where it does not
            say), the size of the volumes and whether to mirror.
        seed: Fixes the split.
        folders: Names that the data set may have below ``config.root``.
        class_names: Names of the classes where the data have none.

    Returns:
        Parts with inputs of shape (N, channels, D, H, W), float16, and labels (N, D, H, W), int64, -100 where padded.

    Raises:
        FileNotFoundError: If the data are not where the settings say.
        ValueError: If they are no volumes, differ in channels, or are fewer than the parts need.
    """
    found, own_names = read_cases(_place(config, folders))
    named = own_names or class_names
    cases = [_normalised(case) for case in found]
    _check_channels(cases)
    size = config.volume_size or _common_size(cases)
    n_classes = max(2, 1 + max(int(case.mask.max()) for case in cases))
    rows = _draw(len(cases), config, seed=seed)

    def split(part: Tensor) -> Split:
        inputs = torch.stack([_fitted(cases[row].image, size, fill=0.0) for row in part])
        labels = torch.stack([_fitted(cases[row].mask.astype(np.int64), size, fill=IGNORED) for row in part])
        return Split(inputs, labels, part)

    parts: dict[str, Any] = {name: split(part) for name, part in rows.items() if len(part) or name != "scaling"}
    return DataSplits(
        **parts,
        class_names=named if len(named) >= n_classes else tuple(str(number) for number in range(n_classes)),
        transform=as_float,
        augment=mirrored if config.augment else None,
        case_names=tuple(case.name for case in cases),
    )


def as_float(inputs: Tensor, *, training: bool = False) -> Tensor:  # noqa: ARG001 - what every transform is told
    """Widen stored volumes on the device that holds them; there is nothing else to prepare."""
    return inputs.float()


def mirrored(inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror each volume and its mask left to right, along the first spatial axis, with probability 1/2.

    Args:
        inputs: Shape (N, channels, D, H, W).
        labels: Shape (N, D, H, W).

    Returns:
        Volumes and masks of the same shapes. torch's own generator chooses.
    """
    chosen = torch.rand(len(inputs), device=inputs.device) < 0.5
    turned = torch.where(chosen.view(-1, 1, 1, 1, 1), inputs.flip(2), inputs)
    return turned, torch.where(chosen.view(-1, 1, 1, 1), labels.flip(1), labels)


def _place(config: DataConfig, folders: tuple[str, ...]) -> Path:
    if config.path is not None:
        return Path(config.path)
    if config.root is None:
        raise InvalidValueError(
            f"`data.root` or `data.path` must say where the volumes of {config.name} lie, got neither."
        )
    names = folders or (config.name,)
    places = [Path(config.root) / name for name in names if (Path(config.root) / name).exists()]
    if not places:
        raise MissingFileError(f"`data.root` must hold a folder {' or '.join(names)}, got {config.root!r}.")
    return places[0]


def _normalised(case: Case) -> Case:
    image = case.image.astype(np.float32)
    mean = image.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
    deviation = image.std(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
    scaled: Array = ((image - mean) / np.where(deviation > 0, deviation, 1.0)).astype(np.float16)
    return Case(case.name, scaled, case.mask)


def _check_channels(cases: list[Case]) -> None:
    if not cases:
        raise InvalidValueError("`data.path` must hold at least one case, got 0.")
    channels = cases[0].image.shape[0]
    for case in cases:
        if case.image.shape[0] != channels:
            raise InvalidValueError(
                f"All cases must have as many channels as the first, {channels}, "
                f"got {case.image.shape[0]} for {case.name!r}."
            )


def _common_size(cases: list[Case]) -> tuple[int, ...]:
    """Find the smallest size that holds every case, in multiples that the network can halve."""
    largest = np.max([case.mask.shape for case in cases], axis=0)
    return tuple(int(side) for side in -(-largest // MULTIPLE) * MULTIPLE)


def _fitted(array: Array, size: tuple[int, ...], *, fill: float) -> Tensor:
    """Pad and cut the last three axes to a size, evenly on both sides."""
    spatial = array.shape[-3:]
    fitted = np.full((*array.shape[:-3], *size), fill, dtype=array.dtype)
    source: list[slice] = []
    target: list[slice] = []
    for had, want in zip(spatial, size, strict=True):
        cut, added = max(0, (had - want) // 2), max(0, (want - had) // 2)
        source.append(slice(cut, cut + want))
        target.append(slice(added, added + had))
    fitted[(..., *target)] = array[(..., *source)]  # type: ignore[index, arg-type]
    return torch.from_numpy(fitted)


def _draw(n: int, config: DataConfig, *, seed: int) -> dict[str, Tensor]:
    sizes = {
        "validation": share_of(VALIDATION if config.validation_size is None else config.validation_size, n),
        "scaling": share_of(config.scaling_size, n),
        "test": share_of(TEST if config.test_size is None else config.test_size, n),
    }
    train = size_within("train_size", config.train_size, n - sum(sizes.values()), of=n)
    drawn = stratified_parts(np.zeros(n, dtype=np.int64), [train, *sizes.values()], seed=seed)
    return dict(zip(("train", *sizes), drawn, strict=True))
