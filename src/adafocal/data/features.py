# SPDX-License-Identifier: Apache-2.0
"""Rows of numbers and categories, and how they become the inputs of a network, by the training part alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adafocal._text import listed, printable, shown
from adafocal.errors import InvalidValueError
from adafocal.tables.piece import Coded, Column

MOST_CATEGORIES = 50  # of a column, and half of the rows: more are names or texts, of which few come twice
REMEDY = "leave the column out by `data.feature_columns`"


@dataclass(frozen=True, eq=False)
class Features(Sequence[tuple[object, ...]]):
    """A table of numbers and categories.

    Attributes:
        columns: Numbers, float64, shape (N,) or (N, k), or coded words, by name.
    """

    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, row: object) -> tuple[object, ...]:  # type: ignore[override]
        place = int(row)  # type: ignore[call-overload]
        return tuple(
            held.values[held.index[place]] if isinstance(held, Coded) else held[place] for held in self.columns.values()
        )

    def without(self, names: Iterable[str]) -> "Features":
        """Leave out some columns."""
        left = set(names)
        return Features({name: held for name, held in self.columns.items() if name not in left})


@dataclass(frozen=True)
class Encoded:
    """How one column becomes inputs.

    Attributes:
        name: The column.
        categories: What is one-hot, in the order of the inputs; empty for numbers.
        mean: Mean of each number of a row in the training part.
        deviation: Standard deviation of each; 1 where it does not vary.
    """

    name: str
    categories: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs that it becomes."""
        if self.categories:
            return tuple(f"{self.name}={category}" for category in self.categories)
        n = len(self.mean)
        return (self.name,) if n == 1 else tuple(f"{self.name}_{place}" for place in range(n))


@dataclass(frozen=True)
class FeatureEncoding:
    """How a table of numbers and categories becomes the inputs of a network.

    Numbers are shifted and scaled to mean 0 and deviation 1 of the training part; categories are one-hot, and one that
    the training part has not is zero everywhere.

    Attributes:
        columns: Each column, in the order of the inputs.
    """

    columns: tuple[Encoded, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, D in all."""
        return tuple(name for column in self.columns for name in column.inputs)

    def __call__(self, features: Features) -> Tensor:
        """Encode rows.

        Returns:
            Inputs, float32, shape (N, D).

        Raises:
            ValueError: If a column is missing, or holds words where the training part has numbers or the other way.
        """
        return torch.from_numpy(np.concatenate([_encode(column, features) for column in self.columns], axis=1))


def fit_encoding(features: Features, rows: np.ndarray) -> FeatureEncoding:
    """Measure how the training part's columns are to be encoded.

    Args:
        features: All rows.
        rows: Those of the training part.

    Raises:
        ValueError: If a column of words has more than 50 of them, or than half of the rows.
    """
    encoded, many = [], []
    most = min(MOST_CATEGORIES, max(2, len(rows) // 2))
    for name, held in features.columns.items():
        if isinstance(held, Coded):
            found = sorted({str(held.values[code]) for code in np.unique(held.index[rows])})
            many += [f"{printable(name)} ({len(found):,})"] if len(found) > most else []
            encoded.append(Encoded(name, tuple(found)))
            continue
        values = held[rows].reshape(len(rows), -1)
        deviation = np.where(_varies(values), values.std(axis=0), 1.0)
        encoded.append(Encoded(name, (), tuple(values.mean(axis=0).tolist()), tuple(deviation.tolist())))
    if many:
        raise InvalidValueError(
            f"Columns of categories must have at most {most} of them in the training part, got "
            f"{listed(many)}: leave them out by `data.feature_columns`, or name a column of texts by "
            "`data.input_column`."
        )
    return FeatureEncoding(tuple(encoded))


def constant_columns(features: Features, rows: np.ndarray) -> list[str]:
    """Name the columns that do not vary in some rows."""
    return [
        name
        for name, held in features.columns.items()
        if not _varies((held.index if isinstance(held, Coded) else held)[rows].reshape(len(rows), -1)).any()
    ]


def counts_rows(values: Column) -> bool:
    """Tell whether a column numbers the rows, as an index does: 0, 1, 2, … or 1, 2, 3, …."""
    if isinstance(values, Coded) or values.ndim > 1 or len(values) < 3:
        return False
    return bool(values[0] in (0, 1) and (np.diff(values) == 1).all())


def tells_class(values: Column, labels: np.ndarray) -> bool:
    """Tell whether a column is another name of the class: each value belongs to one class, and each class to one."""
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return False
    codes = values.index if isinstance(values, Coded) else np.unique(values, return_inverse=True)[1]
    n_values, n_classes = len(np.unique(codes)), len(np.unique(labels))
    if n_values != n_classes:
        return False
    return len(np.unique(codes.astype(np.int64) * (int(labels.max()) + 1) + labels)) == n_classes


def unseen_categories(encoding: FeatureEncoding, features: Features) -> dict[str, int]:
    """Count the rows whose category the training part has not, by column."""
    found = {}
    for column in encoding.columns:
        held = features.columns[column.name]
        if isinstance(held, Coded):
            new = np.array([value not in column.categories for value in held.values])
            if count := int(new[held.index].sum()):
                found[column.name] = count
    return found


def _varies(values: np.ndarray) -> np.ndarray:
    varies: np.ndarray = values.max(axis=0) > values.min(axis=0)
    return varies


def _encode(column: Encoded, features: Features) -> np.ndarray:
    held = features.columns.get(column.name)
    if held is None:
        raise InvalidValueError(
            f"The data must have the column {shown(column.name)} of the training data, got {listed(features.columns)}."
        )
    if isinstance(held, Coded) != bool(column.categories):
        kinds = ("numbers", "words") if isinstance(held, Coded) else ("words", "numbers")
        raise InvalidValueError(
            f"`{printable(column.name)}` must hold {kinds[0]} as in the training part, got {kinds[1]}: {REMEDY}."
        )
    if isinstance(held, Coded):
        place = {category: number for number, category in enumerate(column.categories)}
        codes = np.array([place.get(str(value), -1) for value in held.values], dtype=np.int64)[held.index]
        return np.asarray(codes[:, None] == np.arange(len(column.categories)), dtype=np.float32)
    values = held.reshape(len(held), -1)
    if values.shape[1] != len(column.mean):
        raise InvalidValueError(
            f"`{printable(column.name)}` must hold {len(column.mean)} numbers per row as in the training part, "
            f"got {values.shape[1]}."
        )
    return np.asarray((values - np.array(column.mean)) / np.array(column.deviation), dtype=np.float32)
