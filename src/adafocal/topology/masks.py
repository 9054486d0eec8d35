# SPDX-License-Identifier: Apache-2.0
"""How a predicted mask of one class agrees with the true one: overlap, distance of surfaces, topology."""

import warnings
from math import dist

import numpy as np
import torch

from adafocal._checks import check_same_shape, check_tensor, require
from adafocal._docs import documented
from adafocal._shapes import Given, Volume
from adafocal.errors import InvalidTypeError, InvalidValueError


@documented
def dice_score(predicted: Given[Volume], true: Given[Volume]) -> float:
    """Measure the share of overlap of two masks: the usual score of segmentation, and blind to shape.

    Formula: ``2 |A ∩ B| / (|A| + |B|)``.

    Returns:
        A fraction in [0, 1], higher is better; NaN where both masks are empty.

    Example:
        >>> mask = torch.zeros(4, 4, 4, dtype=torch.bool)
        >>> mask[:2] = True
        >>> dice_score(mask, mask), dice_score(mask, ~mask)
        (1.0, 0.0)
    """
    _check_masks(predicted, true)
    total = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / total if total else float("nan")


@documented
def hausdorff_distance_95(predicted: Given[Volume], true: Given[Volume]) -> float:
    """Measure how far the surfaces of two masks are apart, leaving out the farthest 5 % of their points.

    The larger of the 95th percentiles of the distances from each surface to the other, by MONAI. In voxels: multiply by
    the side of a voxel where it is not 1 mm, and do not use it where sides differ.

    Returns:
        A distance in voxels, lower is better; NaN where both masks are empty. Where one is, no distance is defined and
        the diagonal of the volume stands for it, so that a missed structure is not left out of a mean.

    Raises:
        ModuleNotFoundError: Without MONAI, with the command that installs it.
        TypeError: If a mask is not boolean.
        ValueError: If the shapes differ or are not those of a volume.

    Example:
        >>> first, second = torch.zeros(2, 9, 9, 9, dtype=torch.bool)
        >>> first[4, 4, 2], second[4, 4, 5] = True, True
        >>> hausdorff_distance_95(first, second)
        3.0
    """
    _check_masks(predicted, true)
    if not predicted.any() and not true.any():
        return float("nan")
    if not predicted.any() or not true.any():
        return dist((0, 0, 0), predicted.shape)
    metrics = require("monai.metrics")
    with warnings.catch_warnings():
        # MONAI 1.6 calls a function of its own with an argument that it deprecates.
        warnings.filterwarnings("ignore", category=FutureWarning, module="monai")
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy.*")
        distance = metrics.compute_hausdorff_distance(
            predicted[None, None].float(), true[None, None].float(), include_background=True, percentile=95
        )
    return float(distance)


def betti_numbers(mask: Volume) -> tuple[int, int, int]:
    """Count components, tunnels and cavities of a mask; voxels that share a face are neighbours.

    Components and cavities are labelled by SciPy, a cavity being background that no path over faces, edges or corners
    connects to the outside; tunnels follow from the Euler characteristic of the voxels, their pairs, squares and cubes.

    Args:
        mask: Boolean, shape (D, H, W); outside of it is background.

    Returns:
        The Betti numbers of dimension 0, 1 and 2.

    Raises:
        ModuleNotFoundError: Without SciPy, with the command that installs it.
        TypeError: If the mask is not boolean.
        ValueError: If its shape is not that of a volume.

    Example:
        >>> mask = torch.zeros(5, 5, 5, dtype=torch.bool)
        >>> mask[1:4, 1:4, 2] = True
        >>> mask[2, 2, 2] = False
        >>> betti_numbers(mask)
        (1, 1, 0)
    """
    _check_masks(mask, mask)
    ndimage = require("scipy.ndimage")
    voxels = np.pad(mask.cpu().numpy(), 1)
    components = ndimage.label(voxels)[1]
    cavities = ndimage.label(~voxels, structure=np.ones((3, 3, 3)))[1] - 1
    return components, components + cavities - _euler_characteristic(voxels), cavities


def _euler_characteristic(voxels: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> int:
    """Count vertices minus edges plus squares minus cubes, with voxels as vertices."""
    total = 0
    for axes in np.ndindex(2, 2, 2):
        cells = voxels
        for axis in np.flatnonzero(axes):
            cells = np.logical_and(*(cells.take(range(start, cells.shape[axis] - 1 + start), axis) for start in (0, 1)))
        total += (-1) ** sum(axes) * int(cells.sum())
    return total


def _check_masks(predicted: Volume, true: Volume) -> None:
    for name, mask in (("predicted", predicted), ("true", true)):
        check_tensor(name, mask)
        if mask.dtype != torch.bool:
            raise InvalidTypeError(f"`{name}` must be a boolean tensor, got {mask.dtype}.")
        if mask.ndim != 3:
            raise InvalidValueError(f"`{name}` must have shape (D, H, W), got {tuple(mask.shape)}.")
    check_same_shape("predicted", predicted, "true", true)
