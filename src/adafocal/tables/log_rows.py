# SPDX-License-Identifier: Apache-2.0
"""Rows of evaluation logs: scores of choices or a confidence, beside a record in which everything else is looked up."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from adafocal._settings import or_meant
from adafocal._text import listed, printable, shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.tables.assemble import make_piece
from adafocal.tables.columns import OUTCOMES, Columns, Names
from adafocal.tables.labels import WORDS, as_coded
from adafocal.tables.numbers import is_number, padded
from adafocal.tables.piece import Coded, Column, Piece, RowError

ROWS = 1 << 12  # of a piece at most: their records are held until it is made
RULES = {
    "sum": "as they are (--likelihood sum)",
    "character": "per character of the choice (--likelihood character)",
    "byte": "per byte of the choice (--likelihood byte)",
    "token": "per token (--likelihood token)",
}


@dataclass(frozen=True)
class LogRow:
    """A row of a log.

    Attributes:
        values: Log-likelihoods of the choices, or a confidence.
        right: Which choice is right, or whether the answer is.
        record: All that the log says of the row, by name.
    """

    values: Sequence[float] | float
    right: int | bool
    record: Mapping[str, Any]


@dataclass
class Log:
    """How the rows of a log are read.

    Attributes:
        source: The file.
        names: What the user says.
        beside: Names of what is written beside scaled rows.
        cluster: What rows belong together by unless the user says; None: they stand for themselves.
        said: What was done, by sentence: of how many rows.
    """

    source: Any
    names: Names
    beside: tuple[str, ...]
    cluster: str | None = None
    said: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for name in ("logits", "probs", "label"):
            if (given := getattr(self.names, name)) is not None:
                raise InvalidTypeError(f"`{name}` must not be given for an evaluation log, got {given!r}.")

    def say(self, sentence: str, *, always: bool = True) -> None:
        """Count a row; what is true of the whole log is said once."""
        self.said[sentence] = 1 if always else self.said[sentence] + 1

    def pieces(self, rows: Iterable[LogRow], numbers: int) -> Iterator[Piece]:
        """Gather rows into pieces; at least one, which may be empty and tells what was left out."""
        held: list[LogRow] = []
        room, first_row = numbers, 0
        empty: Piece | None = None
        for row in rows:
            held.append(row)
            room -= len(row.values) if isinstance(row.values, Sequence) else 1
            if room <= 0 or len(held) >= ROWS:
                piece = self._piece(held, first_row)
                yield piece
                empty = piece.part(slice(0, 0))
                first_row, held, room = first_row + len(held), [], numbers
        if held:
            yield self._piece(held, first_row)
        elif self.said and empty is not None:
            yield replace(empty, said=self._told())
        elif empty is None:
            yield self._nothing()

    def _told(self) -> dict[str, int]:
        told, self.said = dict(self.said), Counter()
        return told

    def _nothing(self) -> Piece:
        columns = Columns(OUTCOMES, ("confidence",), "correct")
        return Piece(self.source, columns, 0, np.empty(0), np.empty(0, bool), said=self._told(), beside={})

    def _piece(self, rows: list[LogRow], first_row: int) -> Piece:
        names = self.names
        outcomes = not isinstance(rows[0].values, Sequence)
        by = () if names.by is None else tuple(dict.fromkeys(part.strip() for part in names.by.split(",")))
        cluster = names.cluster or self.cluster
        kind, values, label = (OUTCOMES, "confidence", "correct") if outcomes else ("logits", "logits", "label")
        columns = Columns(kind, (values,), label, (), (), names.weight, cluster, by, names.time, not outcomes)
        if first_row == 0:
            wanted = (cluster, names.weight, names.time, *columns.by)
            check_there([name for name in wanted if name is not None], rows[0].record)
        table: dict[str, Column] = {label: np.array([row.right for row in rows])}
        table |= {name: self._column(name, rows) for name in columns.texts if name != label}
        if names.weight is not None:
            weights = [number(look_up(row.record, names.weight), names.weight, place) for place, row in enumerate(rows)]
            table[names.weight] = np.array(weights)
        if outcomes:
            table[values] = np.array([row.values for row in rows], np.float64)
        else:
            table[values] = padded([np.array([row.values], np.float64) for row in rows], columns.nothing)
        beside = {name: self._column(name, rows) for name in self.beside if name in rows[0].record}
        piece = make_piece(self.source, columns, first_row, table, names)
        return replace(piece, said=self._told(), beside=beside)

    def _column(self, name: str, rows: list[LogRow]) -> Coded:
        values = np.empty(len(rows), dtype=object)
        values[:] = [look_up(row.record, name) for row in rows]
        return as_coded(values, name)


def look_up(record: Mapping[str, Any], name: str) -> Any:
    """Find what a dotted name says in a record; None where there is nothing.

    Example:
        >>> look_up({"doc": {"subject": "law"}, "a.b": 1}, "doc.subject"), look_up({"a.b": 1}, "a.b")
        ('law', 1)
    """
    if name in record:
        return record[name]
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        inner = record.get(".".join(parts[:end]))
        if isinstance(inner, Mapping):
            return look_up(inner, ".".join(parts[end:]))
    return None


def names_in(record: Mapping[str, Any], before: str = "") -> list[str]:
    """Name the plain values of a record, dotted."""
    found = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            found += names_in(value, f"{before}{name}.")
        elif value is None or isinstance(value, (str, bool, int, float)):
            found.append(f"{before}{name}")
    return found


def check_there(wanted: Iterable[str], record: Mapping[str, Any]) -> None:
    """Refuse names of which a log knows nothing.

    Raises:
        ValueError: With those that it knows.
    """
    there = names_in(record)
    for name in wanted:
        if name not in there:
            raise InvalidValueError(
                f"columns must include `{printable(name)}`, got {listed(there)}{or_meant(name, there)}"
            )


def number(value: Any, name: str, row: int) -> float:
    """Read a number that may be written as text.

    Raises:
        RowError: If it is none.
    """
    if isinstance(value, str) and is_number(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RowError(f"`{printable(name)}` must be a number, got {shown(value)}", row)
    return float(value)


def truth(value: Any, name: str, row: int) -> bool:
    """Read whether an answer was right: 1 and 0, true and false, yes and no.

    Raises:
        RowError: If it is neither, such as a part of the marks.
    """
    text = str(value).strip().lower()
    found = float(text) if is_number(text) else WORDS.get(text)
    if found not in (0, 1):
        remedy = ": measures of parts are no outcomes"
        raise RowError(f"`{printable(name)}` must be right or wrong, 1 or 0, got {shown(value)}", row, remedy)
    return bool(found)
