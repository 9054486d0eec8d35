# SPDX-License-Identifier: Apache-2.0
"""Parts that no group is shared by: whole patients, authors or batches."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from adafocal._text import listed
from adafocal.data.sources import Source
from adafocal.errors import InvalidValueError


def group_parts(labels: np.ndarray, groups: np.ndarray, sizes: Sequence[int], *, seed: int) -> tuple[Tensor, ...]:
    """Draw parts of about the given sizes from whole groups, with about the class shares of the whole.

    Groups are dealt one by one, the largest first and those of one size in random order: each goes to the part whose
    counts per class it brings nearest to what they should be, in squares weighted by the inverse of the class's size.
    What no part asks for is a part of its own that is not given back.

    Args:
        labels: Class indices, shape (N,).
        groups: What each row stays together with, shape (N,).
        sizes: Rows of each part, about.
        seed: The same seed gives the same rows.

    Returns:
        Row indices of each part in random order, int64.

    Raises:
        ValueError: If the sizes exceed N, or there are fewer groups than parts.

    Example:
        >>> train, test = group_parts(np.array([0, 1, 0, 1, 0, 1]), np.array(list("aabbcc")), [4, 2], seed=0)
        >>> len(train), len(test)
        (4, 2)
    """
    n, wanted = len(labels), [size for size in sizes if size]
    if sum(wanted) > n:
        raise InvalidValueError(f"The sizes of the parts must add up to at most {n} samples, got {sum(wanted)}.")
    codes, of_group = np.unique(groups, return_inverse=True)
    if len(codes) < len(wanted):
        raise InvalidValueError(
            f"`data.group_column` must hold at least as many groups as there are parts, {len(wanted)}, "
            f"got {len(codes)}."
        )
    n_classes = 1 + int(labels.max())
    counts = np.bincount(of_group * n_classes + labels, minlength=len(codes) * n_classes).reshape(-1, n_classes)
    generator = np.random.default_rng(seed)
    place = _dealt(counts, np.array([*wanted, n - sum(wanted)], dtype=float), len(wanted), generator)
    rows = [generator.permutation(np.flatnonzero(place[of_group] == part)) for part in range(len(wanted))]
    found = iter(rows)
    return tuple(torch.from_numpy(next(found) if size else np.empty(0, dtype=np.int64)) for size in sizes)


def _dealt(counts: np.ndarray, sizes: np.ndarray, n_parts: int, generator: np.random.Generator) -> np.ndarray:
    """Say which part each group goes to; the last of the sizes is of what no part asks for."""
    total = counts.sum(axis=0)
    missing = sizes[:, None] * total / total.sum()
    shuffled = generator.permutation(len(counts))
    order = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]
    weight = 1 / np.maximum(total, 1)
    place = np.full(len(counts), n_parts)
    empty = set(range(n_parts))
    for left, group in zip(range(len(order), 0, -1), order.tolist(), strict=True):
        has = counts[group]
        change = ((has * has - 2 * missing * has) * weight).sum(axis=1)  # of the sum of squares
        if len(empty) >= left:  # each part gets at least one group
            change[[part for part in range(len(sizes)) if part not in empty]] = np.inf
        if sizes[-1] == 0:
            change[-1] = np.inf
        part = int(change.argmin())
        place[group] = part
        empty.discard(part)
        missing[part] -= has
    return place


def check_apart(held: Mapping[str, tuple[Source, Tensor]]) -> None:
    """Raise if a group is in two of the parts that the data come in."""
    groups = {
        name: np.unique(source.groups[rows.numpy()])
        for name, (source, rows) in held.items()
        if source.groups is not None
    }
    for one, other in combinations(groups, 2):
        shared = np.intersect1d(groups[one], groups[other])
        if len(shared):
            raise InvalidValueError(
                f"`data.group_column` must keep every group in one part, got {listed(shared.tolist())} in {one} and "
                f"in {other}."
            )
