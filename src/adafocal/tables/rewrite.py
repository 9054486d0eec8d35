# SPDX-License-Identifier: Apache-2.0
"""Write a table anew with other predictions, piece by piece: every other column stays as it is."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from adafocal._checks import require
from adafocal._files import atomic_path
from adafocal._text import printable
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.tables.arrow import numbers
from adafocal.tables.class_names import CLASSES, list_columns, names_in, with_names
from adafocal.tables.columns import OUTCOMES, SINGULAR, Columns, Names
from adafocal.tables.npz import write_npz
from adafocal.tables.piece import Piece, RowError
from adafocal.tables.raw import as_arrow, raw_batches
from adafocal.tables.read import named, read_table
from adafocal.tables.source import Source, known_suffix

NUMBERS = 1 << 19  # of a piece
SPECIAL = r'[",\r\n]'  # in a value, what quotes are for


def rewrite(source: Source, names: Names, path: str | Path, change: Callable[[Piece], tuple[str, np.ndarray]]) -> int:
    """Write a table with changed predictions in one step; rows and other columns keep their order and values.

    Args:
        source: The table.
        names: Names of its columns.
        path: A file ``.parquet``, ``.npz`` or ``.csv``.
        change: Gives kind and values, shape (N, C), or (N,) of outcomes, for each piece.

    Returns:
        The number of rows.

    Raises:
        ValueError: If the table is damaged, or rows are no predictions.
    """
    rows, rest = 0, None
    suffix = known_suffix(path, writes=True)
    with atomic_path(path) as temporary, _writer(temporary, suffix) as write, named(source, "FILE"):
        for piece in read_table(source, names, NUMBERS):
            if not piece.n:
                continue
            kind, values = change(piece)
            if piece.beside is None:
                rest = rest or _Rest(raw_batches(source, aside=(CLASSES,) if _kept_beside(piece.columns) else ()))
                held = rest.take(piece.n)
            else:
                held = _of_log(piece)
            write(_replaced(held, piece, kind, values))
            rows += piece.n
    return rows


def _kept_beside(columns: Columns) -> bool:
    return len(columns.values) == 1 and bool(columns.classes)


class _Rest:
    """Rows of a table in parts of any length."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self.batches, self.held = batches, None

    def take(self, n: int) -> Any:
        pa = require("pyarrow")
        held: Any = self.held
        while held is None or held.num_rows < n:
            table = pa.Table.from_batches([next(self.batches)])
            held = table if held is None or not held.num_rows else pa.concat_tables([held, table])
        self.held = held.slice(n)
        return held.slice(0, n)


def _of_log(piece: Piece) -> Any:
    """The rows of an evaluation log as a table."""
    pa = require("pyarrow")
    held: dict[str, Any] = {}
    for name, column in (piece.beside or {}).items():
        held[name] = pa.array([column.values[code] for code in column.index])
    held[str(piece.columns.label)] = pa.array(piece.labels)
    held[piece.columns.values[0]] = pa.array(np.zeros(piece.n))  # where the values go
    return pa.table(held)


def _replaced(table: Any, piece: Piece, kind: str, values: np.ndarray) -> Any:
    """Put the new values where the old ones stood."""
    pa = require("pyarrow")
    old = piece.columns.values
    if piece.single:
        values = values[:, 1] if kind == "probs" else values[:, 1] - values[:, 0]
    lists = len(old) == 1 and values.ndim == 2
    names = new_names(piece.columns, kind, values.shape[1] if values.ndim == 2 and not lists else 1)
    columns = [as_arrow(np.ascontiguousarray(values))] if lists or values.ndim == 1 else [pa.array(c) for c in values.T]
    places = [table.column_names.index(name) for name in old]
    for place, name, column in zip(places, names, columns, strict=True):
        field = pa.field(name, column.type)
        field = with_names(field, piece.columns.classes) if lists else field
        table = table.set_column(place, field, pa.chunked_array([column]))
    return table


def new_names(columns: Columns, kind: str, n_columns: int) -> list[str]:
    """Names of the new columns: the old ones, unless probabilities take the place of logits."""
    old = columns.values
    if kind == columns.kind or columns.kind == OUTCOMES:
        return list(old)
    if len(old) == 1 and n_columns == 1:
        return ["probs" if old[0] in ("logits", "logit") else f"{old[0]}_prob"]
    classes = columns.classes or tuple(map(str, range(len(old))))
    return [f"{SINGULAR[kind]}_{name}" for name in classes]


@contextmanager
def _writer(path: Path, suffix: str) -> Iterator[Callable[[Any], None]]:
    """Open a table for writing, whose columns the first part tells."""
    if suffix == ".npz":
        parts: list[Any] = []
        yield parts.append
        whole = require("pyarrow").concat_tables(parts)
        classes = next((names for field in whole.schema if (names := names_in(field.metadata))), ())
        write_npz({name: _numpy(whole[name], name) for name in whole.column_names}, path, classes)
    elif suffix == ".csv":
        with path.open("wb") as file:
            yield partial(_write_csv, file)
    else:
        opened: list[Any] = []

        def write(part: Any) -> None:
            if not opened:
                writer = require("pyarrow.parquet").ParquetWriter
                opened.append(writer(str(path), part.schema, write_page_checksum=True))
            opened[0].write_table(part)

        try:
            yield write
        finally:
            for writer in opened:
                writer.close()


def _write_csv(file: BinaryIO, part: Any) -> None:
    """Write rows, and first the header; quotes stand only where a text needs them."""
    reader, compute = require("pyarrow.csv"), require("pyarrow.compute")
    pa = require("pyarrow")
    flat = _flat(part)
    if file.tell() == 0:
        header = io.StringIO(newline="")
        csv.writer(header, lineterminator="\n").writerow(flat.column_names)
        file.write(header.getvalue().encode("utf-8"))
    texts = [column for column in flat.columns if pa.types.is_string(column.type)]
    special = any(compute.any(compute.match_substring_regex(text, SPECIAL)).as_py() for text in texts)
    style = "needed" if special else "none"
    reader.write_csv(flat, file, reader.WriteOptions(include_header=False, quoting_style=style))


def _flat(table: Any) -> Any:
    """Columns of lists as one column per place, and words as text, as CSV needs them."""
    pa = require("pyarrow")
    columns: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_nested(kind):
            held = _lists(column, name, "CSV").T
            headings = list_columns(name, len(held), names_in(table.schema.field(name).metadata))
            columns |= dict(zip(headings, map(pa.array, held), strict=True))
        elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
            raise _unwritable(name, "CSV", kind)
        else:
            text = pa.types.is_large_string(kind) or kind != column.type
            columns[name] = column.cast(pa.string() if pa.types.is_large_string(kind) else kind) if text else column
    return pa.table(columns)


def _lists(column: Any, name: str, kind: str) -> np.ndarray:
    """Lists of numbers of one length, shape (N, D).

    Raises:
        ValueError: If it holds anything else, which such a file cannot.
    """
    try:
        return numbers(_whole(column), name)
    except (InvalidTypeError, RowError):
        raise _unwritable(name, kind, column.type) from None


def _unwritable(name: str, kind: str, held: Any) -> InvalidValueError:
    rule = f"`{printable(name)}` must hold plain values, or numbers in lists of one length, to be written as {kind}"
    return InvalidValueError(f"{rule}, got type {held}: write .parquet, which keeps every type.")


def _whole(column: Any) -> Any:
    pa = require("pyarrow")
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array


def _numpy(column: Any, name: str) -> np.ndarray:
    """A column as npz keeps it.

    Raises:
        ValueError: If a value is missing, or of a kind that is no plain array.
    """
    pa, array = require("pyarrow"), _whole(column)
    if pa.types.is_nested(array.type):
        return _lists(array, name, "npz")
    if array.null_count or pa.types.is_null(array.type):
        raise _unwritable(name, "npz", f"{array.type} with missing values")
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_timestamp)
    plain = any(fits(array.type) for fits in kinds)
    found = array.to_numpy(zero_copy_only=False) if plain else np.asarray(array.to_pylist())
    if found.dtype.hasobject:
        raise _unwritable(name, "npz", array.type)
    return np.asarray(found)
