# SPDX-License-Identifier: Apache-2.0
"""A data set in its disjoint parts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import check_integer, require
from adafocal._files import atomic_path
from adafocal.data.config import share_of
from adafocal.data.features import FeatureEncoding
from adafocal.data.stored import StoredImages
from adafocal.errors import InvalidValueError


@dataclass(frozen=True, eq=False)
class Split:
    """Inputs and labels of one part.

    Attributes:
        inputs: Shape (N, …): float32 as the model takes them, uint8 images, or integer tokens; or images that stay
            encoded until a batch asks for them.
        labels: Class indices, int64, shape (N,); for volumes (N, D, H, W), with -100 where a voxel does not count.
        index: Row of each sample in the source, int64, shape (N,).
    """

    inputs: Tensor | StoredImages
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_bytes(self) -> float:
        """Memory of the inputs; infinite where they stay encoded."""
        return self.inputs.nbytes if isinstance(self.inputs, Tensor) else float("inf")

    def to(self, device: torch.device | str) -> "Split":
        """Move the samples to a device, so that batches are made there; encoded images stay where they are."""
        inputs = self.inputs.to(device) if isinstance(self.inputs, Tensor) else self.inputs
        return replace(self, inputs=inputs, labels=self.labels.to(device))

    def batches(self, rows: Sequence[Tensor], *, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and labels batch by batch.

        Args:
            rows: Rows of each batch, int64.
            seed: Seed of the random crops of encoded images.
        """
        if isinstance(self.inputs, Tensor):
            for batch in rows:
                yield self.inputs[batch], self.labels[batch]
            return
        for batch, images in zip(rows, self.inputs.batches(rows, seed=seed), strict=True):
            yield images, self.labels[batch]


@dataclass(frozen=True)
class DataSplits:
    """The parts of a data set; no sample is in two of them.

    Attributes:
        train: What the model is fitted to.
        validation: What AdaFocal measures calibration on.
        test: What is reported.
        class_names: Names of the C classes.
        scaling: Second validation part, which temperature is fitted to; None where none was asked for.
        transform: Turns the inputs of a batch, on whatever device, into what the model takes; called with
            ``training=True`` for batches that are trained on. None where they are that already.
        vocabulary: Words of the token ids, where the inputs are texts split into words.
        augment: Changes inputs and dense labels of a training batch together; None where nothing is to be changed.
        case_names: Name of each row of the source, where rows are volumes of named cases.
        normalised_by: Mean and deviation, where pixels span [0, 1], that the inputs are normalised by already.
        features: How a table's columns became the inputs, where they are numbers and categories.
        how: How the parts were found, in words; empty where that is the data set's own matter.
        notes: What was left out or changed on the way, a sentence each without its full stop.
    """

    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    scaling: Split | None = None
    transform: Callable[..., Tensor] | None = None
    vocabulary: tuple[str, ...] | None = None
    augment: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    case_names: tuple[str, ...] | None = None
    normalised_by: tuple[float, float] | None = None
    features: FeatureEncoding | None = None
    how: str = ""
    notes: tuple[str, ...] = ()

    @property
    def dense(self) -> bool:
        """Whether every voxel has a label."""
        return self.train.labels.ndim > 1

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return len(self.class_names)

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the classes where they say more than their numbers, for records of predictions."""
        numbers = tuple(map(str, range(self.n_classes)))
        return None if self.class_names == numbers or len(set(self.class_names)) < self.n_classes else self.class_names

    @property
    def parts(self) -> dict[str, Split]:
        """The parts by name."""
        parts = {"train": self.train, "validation": self.validation, "scaling": self.scaling, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    def to(self, device: torch.device | str) -> "DataSplits":
        """Move the samples of all parts to a device."""
        moved = {name: part.to(device) for name, part in self.parts.items()}
        return replace(self, **moved)  # type: ignore[arg-type]

    def save_rows(self, path: str | Path) -> None:
        """Write which rows of the source each part holds to an ``.npz`` file, one array per part."""
        with atomic_path(path) as temporary:
            rows: dict[str, Any] = {name: part.index.numpy() for name, part in self.parts.items()}
            np.savez_compressed(temporary, **rows)


def size_within(name: str, asked: int | float | None, free: int, *, of: int) -> int:
    """Take the size of a part that was asked for, None for all that other parts leave free; a share is one of ``of``.

    Raises:
        ValueError: If more is asked for, or nothing is left.
    """
    wanted = None if asked is None else share_of(asked, of)
    if free < 1 or (wanted or 1) > free:
        raise InvalidValueError(
            f"`data.{name}` must be at most {max(free, 0)}, what the other parts leave, got {asked}."
        )
    return wanted or free


def stratified_parts(labels: np.ndarray, sizes: Sequence[int], *, seed: int) -> tuple[Tensor, ...]:
    """Draw disjoint parts of given sizes, each with the class shares of the whole to within one sample or two.

    Each sample gets a place in (0, 1) that spreads its class evenly; cutting the samples in the order of their places
    gives parts of any sizes, none too small for it.

    Args:
        labels: Class indices, shape (N,).
        sizes: Rows of each part; what they leave is in none.
        seed: The same seed gives the same rows.

    Returns:
        Row indices of each part in random order, int64.

    Raises:
        ValueError: If the sizes exceed N.
    """
    n, total = len(labels), sum(sizes)
    if total > n:
        raise InvalidValueError(f"The sizes of the parts must add up to at most {n} samples, got {total}.")
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(n)
    # Stable: the default sort may order ties otherwise on another processor.
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.unique(labels, return_counts=True)[1]
    rank = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    place = (rank + generator.random(n)) / np.repeat(counts, counts)
    ordered = by_class[np.argsort(place, kind="stable")]
    cuts = np.split(ordered[:total], np.cumsum(sizes)[:-1])
    return tuple(torch.from_numpy(generator.permutation(cut).astype(np.int64)) for cut in cuts)


def stratified_split(
    labels: np.ndarray, *, train_size: int, validation_size: int, test_size: int | None = None, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw disjoint train, validation and test rows with the class shares of the whole.

    :func:`stratified_parts` draws more parts and needs no scikit-learn; the digits alone are split here, because every
    published number of their recipe, the demo's among them, belongs to these rows.

    Args:
        labels: Class indices, shape (N,).
        train_size: Rows for training.
        validation_size: Rows for validation.
        test_size: Rows for test; None takes all that remain.
        seed: The same seed gives the same rows.

    Returns:
        Three int64 tensors of row indices.

    Raises:
        ValueError: If a size is below 1 or the sizes exceed N.
    """
    split = require("sklearn.model_selection", extra="train").train_test_split
    check_integer("train_size", train_size, minimum=1)
    check_integer("validation_size", validation_size, minimum=1)
    n = len(labels)
    test_size = n - train_size - validation_size if test_size is None else test_size
    if test_size < 1 or train_size + validation_size + test_size > n:
        raise InvalidValueError(
            f"`train_size` + `validation_size` must leave a test part of the {n} samples, "
            f"got {train_size} + {validation_size}."
        )
    rest, train = split(np.arange(n), test_size=train_size, stratify=labels, random_state=seed)
    rest, validation = split(rest, test_size=validation_size, stratify=labels[rest], random_state=seed)
    test = rest if test_size == len(rest) else np.sort(np.random.default_rng(seed).choice(rest, test_size, False))
    return torch.from_numpy(train), torch.from_numpy(validation), torch.from_numpy(test)
