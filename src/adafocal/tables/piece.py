# SPDX-License-Identifier: Apache-2.0
"""What every reader of a table gives: consecutive rows as arrays, by the same rules whatever the format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adafocal._text import printable, shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.tables.columns import Columns

EXACT = 2.0**53  # up to here each whole number is a float64
NO_VALUE, EMPTY = "(missing)", "(empty)"


class RowError(InvalidValueError):
    """A fault of one row, counted from 0."""

    def __init__(self, what: str, row: int) -> None:
        super().__init__(f"{what} in row {row}.")
        self.what = what
        self.row = row

    def after(self, first_row: int) -> "RowError":
        """Give the same fault with its row counted from the start of the file."""
        return RowError(self.what, self.row + first_row)


class FormatError(InvalidValueError):
    """A fault of a whole file; ``{file}`` in its text stands for the name, which who opened it puts in."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule

    @classmethod
    def unreadable(cls, kind: str, error: Exception | str) -> "FormatError":
        """Say that a file is not of its kind, and why."""
        return cls(f"must be a readable {kind} file, got {{file}}: {reason(error)}.")


@dataclass(frozen=True, eq=False)
class Piece:
    """Some consecutive rows of a table; values are numbers of the right shapes, and not checked beyond.

    Attributes:
        path: The file.
        columns: Which columns hold what.
        first_row: Where the piece begins in the file.
        values: Logits or probabilities, floating point, shape (N, C).
        labels: Class indices, int64, shape (N,).
        features: Features, floating point, shape (N, D); None for none.
        group_names: Values of the column of groups, as text.
        group: Which of them each row has, shape (N,); None without such a column.
    """

    path: Path
    columns: Columns
    first_row: int
    values: np.ndarray
    labels: np.ndarray
    features: np.ndarray | None = None
    group_names: tuple[str, ...] = ()
    group: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.labels)

    def arrays(self) -> dict[str, Any]:
        """Give the arguments of ``Predictions``."""
        return {self.columns.kind: self.values, "labels": self.labels, "features": self.features}

    def groups(self) -> list[tuple[str, np.ndarray]]:
        """Give the text of each group with its rows; categories that no row has are no groups."""
        if self.group is None:
            return []
        rows = [np.flatnonzero(self.group == place) for place in range(len(self.group_names))]
        return [(name, found) for name, found in zip(self.group_names, rows, strict=True) if len(found)]


def make_piece(path: Path, columns: Columns, first_row: int, table: dict[str, np.ndarray], groups: Any = None) -> Piece:
    """Build a piece from arrays by column.

    Args:
        path: The file.
        columns: Which columns hold what.
        first_row: Where the piece begins in the file.
        table: One array per column of numbers, of one length.
        groups: Index and names of the groups, as :func:`coded` gives them.

    Raises:
        TypeError: If a column does not hold numbers.
        ValueError: If shapes do not fit, or a label is no class index.
    """
    values = _matrix(columns.values, table)
    features = _matrix(columns.features, table) if columns.features else None
    index, names = (None, ()) if groups is None else groups
    try:
        labels = class_indices(table[columns.label])
    except RowError as error:
        raise error.after(first_row) from None
    return Piece(path, columns, first_row, values, labels, features, names, index)


def class_after_class(rows: np.ndarray) -> np.ndarray:
    """Lay a matrix of shape (N, C) out in memory class after class, as sums over samples of few classes like it."""
    return np.ascontiguousarray(rows.T).T


def _matrix(parts: tuple[str, ...], table: dict[str, np.ndarray]) -> np.ndarray:
    arrays = [floats(table[part], part) for part in parts]
    if len(arrays) == 1 and arrays[0].ndim == 2:
        return arrays[0]
    for part, array in zip(parts, arrays, strict=True):
        if array.ndim != 1:
            rule = "have shape (N, C)" if len(parts) == 1 else "have one number per row"
            raise InvalidValueError(f"`{printable(part)}` must {rule}, got {array.shape}.")
    return np.stack(arrays).T  # class after class


def floats(array: np.ndarray, name: str) -> np.ndarray:
    """Give numbers as floating point; whole ones become float32, as in CSV.

    Raises:
        TypeError: If the column does not hold numbers.
    """
    if array.dtype.kind not in "iuf":
        kind = "values that are no numbers" if array.dtype.kind in "OSUV" else f"type {array.dtype}"
        raise InvalidTypeError(f"`{printable(name)}` must hold numbers or lists of numbers of one length, got {kind}.")
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
    held = np.dtype("f4" if array.dtype.kind in "iu" else "f8") if wide or array.dtype.kind != "f" else array.dtype
    return array.astype(held.newbyteorder("="), copy=False)


def class_indices(array: np.ndarray) -> np.ndarray:
    """Give labels as int64; whole numbers of floating point count as indices.

    Raises:
        TypeError: If the column does not hold numbers.
        RowError: If a number is not whole.
    """
    floats(array[:0], "label")
    if array.ndim != 1:
        raise InvalidValueError(f"`labels` must have shape (N,), got {array.shape}.")
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        broken = ~(np.abs(array) <= EXACT) | (array != np.round(array))
    else:
        broken = array > np.iinfo(np.int64).max
    if broken.any():
        row = int(np.flatnonzero(broken)[0])
        raise RowError(f"`label` must be an integer class index, got {array[row]}", row)
    return array.astype(np.int64)


def coded(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number the different values of a column: the number of each row, and the values as text.

    Raises:
        ValueError: If there is more than one value per row.
    """
    if values.ndim != 1 or values.dtype.kind not in "biufSUMm":
        raise InvalidValueError("`by` must name a column with one plain value per row, got another.")
    found, index = np.unique(values, return_inverse=True)
    if found.dtype.kind == "S":
        found = np.char.decode(found, "utf-8", "backslashreplace")
    return index.reshape(-1), tuple(group_name(str(name)) for name in found)


def group_name(text: str | None) -> str:
    """Name a group by its value; the empty name is that of all rows."""
    return NO_VALUE if text is None else text or EMPTY


def reason(error: Exception | str) -> str:
    """Give the first line of a library's message, to end a sentence with."""
    text = str(error) or type(error).__name__
    return printable(text.splitlines()[0].rstrip(".") if text.strip() else shown(text), longest=300)
