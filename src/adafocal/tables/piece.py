# SPDX-License-Identifier: Apache-2.0
"""What every reader of a table gives: consecutive rows as arrays, by the same rules whatever the format."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from adafocal._settings import ended
from adafocal._text import printable, shown
from adafocal.errors import InvalidValueError
from adafocal.tables.columns import OUTCOMES, Columns

NO_VALUE, EMPTY = "(missing)", "(empty)"
RAGGED = ": ragged where each row has choices of its own"


class RowError(InvalidValueError):
    """A fault of one row, counted from 0; ``remedy`` ends its sentence."""

    def __init__(self, what: str, row: int, remedy: str = "") -> None:
        super().__init__(ended(f"{what} in row {row}{remedy}"))
        self.what = what
        self.row = row
        self.remedy = remedy

    def after(self, first_row: int) -> "RowError":
        """The same fault with its row counted from the start of the file."""
        return RowError(self.what, self.row + first_row, self.remedy)


class FormatError(InvalidValueError):
    """A fault of a whole file; ``{file}`` in its text stands for the name, which who opened it puts in."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule

    @classmethod
    def unreadable(cls, kind: str, error: Exception | str) -> "FormatError":
        """A file is not of its kind, and why."""
        return cls(f"must be a readable {kind} file, got {{file}}: {reason(error)}.")

    @classmethod
    def not_text(cls, error: UnicodeDecodeError, encoding: str = "utf-8") -> "FormatError":
        """Bytes are no text in the encoding that they begin like."""
        name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
        return cls.unreadable("CSV", f"byte 0x{error.object[error.start]:02x} is not {name}: save it as UTF-8")


@dataclass(frozen=True, eq=False)
class Coded:
    """A column of words.

    Attributes:
        index: Which value each row has, int64, shape (N,).
        values: The values, each once; None for a missing one.
    """

    index: np.ndarray
    values: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice) -> "Coded":
        return Coded(self.index[rows], self.values)


Column: TypeAlias = np.ndarray | Coded


@dataclass(frozen=True, eq=False)
class Piece:
    """Some consecutive rows of a table; values are numbers of the right shapes, and not checked beyond.

    Attributes:
        path: The file.
        columns: Which columns hold what.
        first_row: Where the piece begins in the file.
        values: Logits or probabilities, floating point, shape (N, C), or the confidence of outcomes, shape (N,).
        labels: Class indices, int64, or whether outcomes are right, boolean, shape (N,); None for a table without.
        features: Features, floating point, shape (N, D); None for none.
        weight: Weights, floating point, shape (N,); None where all weigh 1.
        cluster: What each row belongs to, int64, shape (N,); None where rows stand for themselves.
        cluster_names: Their text.
        time: When each row was, microseconds since 1970, int64, shape (N,); None without such a column.
        zoned: Whether times have a time zone; None where that is not said.
        group_names: Values of the columns of groups, as text.
        group: Which of them each row has, shape (N,); None without such a column.
        single: Whether the values are of the two classes of a single column.
        rounded: How many rows were divided by their sum.
        normalized: Whether they were because the user asked, and not because rounding explains why it is not 1.
        said: What the reader did that readers of numbers should know, by sentence: of how many rows, put for ``{n}``.
        beside: Of an evaluation log, what else of its rows is written where they are; None for a table.
    """

    path: Any
    columns: Columns
    first_row: int
    values: np.ndarray
    labels: np.ndarray | None
    features: np.ndarray | None = None
    weight: np.ndarray | None = None
    cluster: np.ndarray | None = None
    cluster_names: Mapping[int, str] = field(default_factory=dict)
    time: np.ndarray | None = None
    zoned: bool | None = None
    group_names: tuple[str, ...] = ()
    group: np.ndarray | None = None
    single: bool = False
    rounded: int = 0
    normalized: bool = False
    said: Mapping[str, int] = field(default_factory=dict)
    beside: Mapping[str, Coded] | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.values)

    def arrays(self) -> dict[str, Any]:
        """The arguments of the record: of ``Outcomes``, or of ``Predictions``."""
        more: dict[str, Any] = {"weight": self.weight, "cluster": self.cluster}
        if self.columns.kind == OUTCOMES:
            return {"confidence": self.values, "correct": self.labels, **more}
        more["features"] = self.features
        if self.columns.ragged:
            more["ragged"] = True
        return {self.columns.kind: self.values, "labels": self.labels, **more}

    def groups(self) -> list[tuple[str, np.ndarray]]:
        """The text of each group with its rows; categories that no row has are no groups."""
        if self.group is None:
            return []
        order = np.argsort(self.group, kind="stable")
        ends = np.cumsum(np.bincount(self.group, minlength=len(self.group_names)))
        rows = np.split(order, ends[:-1])
        return [(name, found) for name, found in zip(self.group_names, rows, strict=False) if len(found)]

    def part(self, rows: slice) -> "Piece":
        """Some of the rows."""
        cut: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[rows]
            for name in ("values", "labels", "features", "weight", "cluster", "time", "group")
        }
        return replace(self, first_row=self.first_row + (rows.start or 0), **cut)


def said_by(pieces: Iterable[Piece]) -> Counter[str]:
    """Add up what readers of pieces said."""
    total: Counter[str] = Counter()
    for piece in pieces:
        total.update(piece.said)
    return total


def said_of(said: Mapping[str, int]) -> list[str]:
    """Write out what readers said, with the numbers of rows in it."""
    return [sentence.replace("{n}", f"{count:,}") for sentence, count in said.items()]


def group_name(text: str | None) -> str:
    """Name a group by its value; the empty name is that of all rows."""
    return NO_VALUE if text is None else text or EMPTY


def reason(error: Exception | str) -> str:
    """The first line of a library's message, to end a sentence with."""
    text = str(error) or type(error).__name__
    return printable(text.splitlines()[0].rstrip(".") if text.strip() else shown(text), longest=300)
