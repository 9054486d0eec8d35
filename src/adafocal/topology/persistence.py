# SPDX-License-Identifier: Apache-2.0
"""Persistence diagrams of images and volumes, differentiable at their critical voxels."""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import torch

from adafocal._checks import (
    check_choice,
    check_flag,
    check_floating,
    check_integer,
    check_number,
    check_sequence,
    require,
)
from adafocal._dtypes import at_least_float32
from adafocal._shapes import BirthDeath, ClassIndex, Confidence, Volume
from adafocal.errors import InvalidValueError

CONSTRUCTIONS = ("V", "T")
Array: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"
Indices: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class PersistenceDiagram:
    """When each component, tunnel and cavity of a volume appears and disappears, and at which voxel.

    Attributes:
        dim: Homology dimension per class, int64, shape (k,): 0 components, 1 tunnels, 2 cavities.
        birth: Value at which the class appears, shape (k,).
        death: Value at which it disappears, shape (k,).
        birth_index: Flat index of the voxel that holds the birth value, int64, shape (k,).
        death_index: Flat index of the voxel that holds the death value, or -1 for a class that never dies.
    """

    dim: ClassIndex
    birth: Confidence
    death: Confidence
    birth_index: ClassIndex
    death_index: ClassIndex

    def points(self, dim: int) -> BirthDeath:
        """Pair births and deaths of the classes of one dimension, shape (k, 2)."""
        chosen = self.dim == dim
        return torch.stack([self.birth[chosen], self.death[chosen]], dim=1)

    def betti(self, level: float) -> tuple[int, ...]:
        """Count the classes alive at ``level``, per dimension from 0 to 2: the Betti numbers of that level set."""
        low, high = torch.minimum(self.birth, self.death), torch.maximum(self.birth, self.death)
        rising = bool((self.death >= self.birth).all())
        alive = (low <= level) & (level < high) if rising else (low < level) & (level <= high)
        return tuple(int((alive & (self.dim == dim)).sum()) for dim in range(3))


def persistence_diagram(
    volume: Volume,
    *,
    dims: Sequence[int] | None = None,
    superlevel: bool = True,
    construction: str = "V",
    essential_death: float | None = None,
) -> PersistenceDiagram:
    """Find the topological features of an image or volume over all thresholds, by cubical persistent homology.

    Use it on a probability map: with ``superlevel``, the set of voxels above a threshold grows as the threshold falls
    from 1 to 0, and each component, tunnel or cavity is born and dies at the value of one voxel. Gradients flow
    through ``birth`` and ``death`` to these voxels; which voxels they are is a constant to the gradient. The diagram
    says nothing of where or how large a feature is.

    Args:
        volume: Finite values, shape (d1,), (d1, d2) or (d1, d2, d3).
        dims: Homology dimensions to keep, each below the number of axes; all of them by default.
        superlevel: Whether features are born at high values, as for probabilities, or at low ones.
        construction: ``V`` joins foreground voxels that share a face (4 neighbours in an image, 6 in a volume), ``T``
            also those that share an edge or corner (8 and 26).
        essential_death: Death of the one component that never dies; by default minus infinity for ``superlevel``, else
            infinity. For probabilities 0 keeps it finite.

    Returns:
        The diagram, on the device and in the dtype of ``volume`` (at least float32). Classes of no persistence are left
        out.

    Raises:
        ModuleNotFoundError: If cripser is not installed.
        TypeError: If ``volume`` is not floating point.
        ValueError: If ``volume`` is empty, not finite or has more than three axes, or an option is out of range.

    Example:
        >>> ring = torch.tensor([[0.9, 0.9, 0.9], [0.9, 0.1, 0.8], [0.9, 0.9, 0.9]])
        >>> diagram = persistence_diagram(ring, essential_death=0.0)
        >>> diagram.dim
        tensor([0, 1])
        >>> diagram.points(1)
        tensor([[0.8000, 0.1000]])

    Reference:
        Kaji, Sudo and Ahara, "Cubical Ripser: software for computing persistent homology of image and volume data",
        2020, https://arxiv.org/abs/2005.12692. Demir, Massaad and Kiziltan, "Topology-aware focal loss for 3D image
        segmentation", 2023, https://arxiv.org/abs/2304.12223, uses such diagrams; which filtration it does not say.
    """
    return persistence_diagrams(
        [volume], dims=dims, superlevel=superlevel, construction=construction, essential_death=essential_death
    )[0]


def persistence_diagrams(
    volumes: Sequence[Volume],
    *,
    dims: Sequence[int] | None = None,
    superlevel: bool = True,
    construction: str = "V",
    essential_death: float | None = None,
    workers: int | None = None,
) -> list[PersistenceDiagram]:
    """Find the diagrams of several volumes, in ``workers`` threads; see :func:`persistence_diagram`.

    Args:
        volumes: Finite values, each of shape (d1,), (d1, d2) or (d1, d2, d3).
        dims: Homology dimensions to keep; all of them by default.
        superlevel: Whether features are born at high values.
        construction: ``V`` or ``T``.
        essential_death: Death of the component that never dies.
        workers: Threads; by default one per CPU core that this process may use. They run side by side, because cripser
            lets go of the interpreter while it computes.

    Returns:
        One diagram per volume.

    Example:
        >>> [diagram.betti(0.5) for diagram in persistence_diagrams([torch.eye(3)], construction="T")]
        [(1, 0, 0)]
    """
    check_choice("construction", construction, CONSTRUCTIONS)
    check_flag("superlevel", superlevel)
    check_sequence("volumes", volumes, of="volumes")
    if essential_death is not None and not (isinstance(essential_death, float) and math.isinf(essential_death)):
        check_number("essential_death", essential_death)
    check_integer("workers", workers, minimum=1, optional=True)
    chosen = [_check_dims(dims, volume) for volume in volumes]
    arrays = [_array(volume, negate=superlevel) for volume in volumes]
    cripser = require("cripser")

    def critical(array: Array, kept: Sequence[int]) -> Indices:
        box, corner = _without_flat_border(array)
        # Axes of length 1 hold no topology, and cripser 0.0.37 counts components wrongly in shape (n, 1).
        squeezed = np.atleast_1d(box.squeeze())
        rows = cripser.compute_ph(squeezed, filtration=construction, maxdim=max(kept))
        rows = rows[np.isin(rows[:, 0], kept)]
        return _flat_indices(rows, squeezed.shape, box.shape, corner, array.shape)

    found = in_threads(lambda given: critical(*given), list(zip(arrays, chosen, strict=True)), workers=workers)
    if essential_death is None:
        essential_death = -torch.inf if superlevel else torch.inf
    return [_diagram(volume, rows, essential_death) for volume, rows in zip(volumes, found, strict=True)]


def in_threads(call: Callable[[Item], Result], items: Sequence[Item], *, workers: int | None) -> list[Result]:
    """Call for each item, side by side in at most ``workers`` threads, by default one per core."""
    threads = min(available_cores() if workers is None else workers, len(items))
    with ThreadPoolExecutor(max(1, threads)) as pool:
        return list(pool.map(call, items))


def available_cores() -> int:
    """Count the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_dims(dims: Sequence[int] | None, volume: Volume) -> Sequence[int]:
    check_floating("volume", volume)
    if not (1 <= volume.ndim <= 3 and volume.numel() > 0):
        raise InvalidValueError(
            f"`volume` must have 1 to 3 axes and at least one voxel, got shape {tuple(volume.shape)}."
        )
    if dims is None:
        return range(volume.ndim)
    if not isinstance(dims, range):
        check_sequence("dims", dims, of="homology dimensions")
    if len(dims) == 0 or any(dim not in range(volume.ndim) for dim in dims):
        raise InvalidValueError(
            f"`dims` must be among {tuple(range(volume.ndim))} for {volume.ndim} axes, got {dims!r}."
        )
    return dims


def _array(volume: Volume, *, negate: bool) -> Array:
    values = volume.detach().cpu()
    if not values.isfinite().all():
        raise InvalidValueError("`volume` must be finite, got NaN or infinity.")
    values = values.double()
    return (-values if negate else values).numpy()


def _without_flat_border(array: Array) -> tuple[Array, Indices]:
    """Cut away what surrounds the box of all values below the largest, and tell where the box begins.

    The diagram stays the same: the set of voxels below the largest value lies in the box, and when the rest joins,
    everything but the first component dies, in the box as in the whole. A binary mask shrinks to its bounding box.
    """
    inside = array < array.max()
    corner, end = [], []
    for axis in range(array.ndim):
        along = np.flatnonzero(inside.any(axis=tuple(other for other in range(array.ndim) if other != axis)))
        corner.append(along[0] if along.size else 0)
        end.append(along[-1] + 1 if along.size else 1)
    return array[tuple(map(slice, corner, end))], np.array(corner)


def _flat_indices(
    rows: Array, squeezed: tuple[int, ...], box: tuple[int, ...], corner: Indices, full: tuple[int, ...]
) -> Indices:
    """Turn cripser's rows into (dimension, flat birth index, flat death index or -1)."""

    def flat(first_column: int, chosen: Array) -> Indices:
        places = chosen[:, first_column : first_column + len(squeezed)].astype(np.int64).T
        inner = np.unravel_index(np.ravel_multi_index(tuple(places), squeezed), box)
        index: Indices = np.ravel_multi_index(tuple(np.array(inner) + corner[:, None]), full)
        return index

    finite = np.isfinite(rows[:, 2])
    death = np.full(len(rows), -1)
    death[finite] = flat(6, rows[finite])
    return np.stack([rows[:, 0].astype(np.int64), flat(3, rows), death])


def _diagram(volume: Volume, found: Indices, essential_death: float) -> PersistenceDiagram:
    dim, birth_index, death_index = torch.from_numpy(found).to(volume.device)
    # One look-up for both: its gradient fills a whole volume with zeros.
    both = at_least_float32(volume).flatten().index_select(0, torch.cat([birth_index, death_index.clamp_min(0)]))
    birth, death = both.tensor_split(2)
    death = torch.where(death_index < 0, essential_death, death)
    return PersistenceDiagram(dim, birth, death, birth_index, death_index)
