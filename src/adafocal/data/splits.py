# SPDX-License-Identifier: Apache-2.0
"""A data set in its three disjoint parts."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import check_integer, require


@dataclass(frozen=True)
class Split:
    """Inputs and labels of one part.

    Attributes:
        inputs: Shape (N, …), float32, as the model takes them.
        labels: Class indices, int64, shape (N,).
        index: Row of each sample in the source, int64, shape (N,).
    """

    inputs: Tensor
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DataSplits:
    """Training, validation and test part of a data set.

    Attributes:
        train: What the model is fitted to.
        validation: What AdaFocal measures calibration on, and temperature is fitted to.
        test: What is reported.
        class_names: Names of the C classes.
    """

    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return len(self.class_names)


def stratified_split(
    labels: np.ndarray, *, train_size: int, validation_size: int, test_size: int | None = None, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw disjoint train, validation and test rows with the class shares of the whole.

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
    model_selection = require("sklearn.model_selection", extra="train")
    check_integer("train_size", train_size, minimum=1)
    check_integer("validation_size", validation_size, minimum=1)
    n = len(labels)
    test_size = n - train_size - validation_size if test_size is None else test_size
    if test_size < 1 or train_size + validation_size + test_size > n:
        raise ValueError(
            f"`train_size` + `validation_size` must leave a test part of the {n} samples, "
            f"got {train_size} + {validation_size}."
        )
    rest, train = model_selection.train_test_split(
        np.arange(n), test_size=train_size, stratify=labels, random_state=seed
    )
    rest, validation = model_selection.train_test_split(
        rest, test_size=validation_size, stratify=labels[rest], random_state=seed
    )
    test = rest if test_size == len(rest) else np.sort(np.random.default_rng(seed).choice(rest, test_size, False))
    return torch.from_numpy(train), torch.from_numpy(validation), torch.from_numpy(test)
