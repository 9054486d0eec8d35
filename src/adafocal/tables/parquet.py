# SPDX-License-Identifier: Apache-2.0
"""Tables of predictions as Parquet, with checksums of pages."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from adafocal._checks import require
from adafocal._text import printable
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.tables.columns import Columns, Names, find_columns
from adafocal.tables.piece import FormatError, Piece, RowError, group_name, make_piece


def read_parquet(
    file: Path, names: Names, numbers: int, *, row_groups: Sequence[int] | None = None, first_row: int = 0
) -> Iterator[Piece]:
    """Read a Parquet file piece by piece.

    Args:
        file: The file.
        names: Names of columns.
        numbers: How many a piece holds, about.
        row_groups: The row groups to read; None for all.
        first_row: Where the first of them begins.

    Raises:
        ValueError: If the file is damaged, lacks a column, or a row has no value or another length.
    """
    with parquet_faults():
        # Without a buffer of whole row groups, memory does not depend on how the file was written.
        table = require("pyarrow.parquet", extra="report").ParquetFile(
            file, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True
        )
    with table:
        with parquet_faults():
            header = table.schema_arrow.names
        columns = find_columns(header, names)
        with parquet_faults():
            batches = _batches(table, columns, numbers, row_groups)
        empty = first_row == 0
        while True:
            with parquet_faults():
                batch = next(batches, None)
            if batch is None:
                break
            yield _piece(file, columns, batch, first_row)
            first_row, empty = first_row + batch.num_rows, False
        if empty:
            with parquet_faults():
                batch = _no_rows(table.schema_arrow, columns)
            yield _piece(file, columns, batch, 0)


def parquet_row_groups(file: Path) -> list[tuple[int, int]]:
    """Give rows and bytes of each row group.

    Raises:
        ValueError: If the file is damaged.
    """
    with parquet_faults():
        metadata = require("pyarrow.parquet", extra="report").read_metadata(file)
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        return [(group.num_rows, group.total_byte_size) for group in groups]


def write_parquet(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write matrices as columns of lists of one length."""
    pa, pq = require("pyarrow", extra="report"), require("pyarrow.parquet", extra="report")
    columns = {}
    for name, array in arrays.items():
        if array.ndim == 1:
            columns["label"] = pa.array(array)
        else:
            columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1])
    pq.write_table(pa.table(columns), path, write_page_checksum=True)


@contextmanager
def parquet_faults() -> Iterator[None]:
    """Say what is wrong with a file; the block calls nothing but pyarrow."""
    pa = require("pyarrow", extra="report")
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            raise MemoryError(str(error)) from error
        raise FormatError.unreadable("Parquet", error) from error


def _batches(table: Any, columns: Columns, numbers: int, row_groups: Sequence[int] | None) -> Iterator[Any]:
    """Read in pieces of as many rows as hold ``numbers``, by the width of the first row, lists included.

    The metadata of columns would tell the width too, but where they are damaged Arrow ends the process.
    """
    first = next(table.iter_batches(batch_size=1, columns=columns.wanted, row_groups=row_groups), None)
    held = [] if first is None else first.columns
    width = sum(len(column.flatten()) if _holds_lists(column.type) else 1 for column in held)
    size = max(1, numbers // max(1, width))
    return iter(table.iter_batches(batch_size=size, columns=columns.wanted, row_groups=row_groups))


def _holds_lists(kind: Any) -> bool:
    types = require("pyarrow", extra="report").types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _no_rows(schema: Any, columns: Columns) -> Any:
    pa = require("pyarrow", extra="report")
    return pa.RecordBatch.from_pylist([], schema=pa.schema([schema.field(name) for name in columns.wanted]))


def _piece(file: Path, columns: Columns, batch: Any, first_row: int) -> Piece:
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    try:
        table = {name: _values(arrays[name], name) for name in dict.fromkeys(columns.numbers)}
    except RowError as error:
        raise error.after(first_row) from None
    groups = None if columns.by is None else _groups(arrays[columns.by])
    return make_piece(file, columns, first_row, table, groups)


def _values(array: Any, name: str) -> np.ndarray:
    """Turn a column of numbers or of number lists of one length into an array.

    Raises:
        RowError: If a value is missing or a list is of another length than the first.
        TypeError: If the column does not hold numbers.
    """
    if array.null_count:
        raise RowError(f"`{printable(name)}` must have no missing values, got null", _first(array.is_null()))
    kind = array.type
    if _holds_lists(kind):
        width, flat = _width(array, name), array.flatten()
        if flat.null_count:
            row = _first(flat.is_null()) // width
            raise RowError(f"`{printable(name)}` must have no missing values, got null", row)
        return _plain(flat, kind, name).reshape(len(array), width)
    return _plain(array, kind, name)


def _plain(array: Any, kind: Any, name: str) -> np.ndarray:
    """Give numbers as an array, without a copy where Arrow holds them as numpy does."""
    pa = require("pyarrow", extra="report")
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_decimal(array.type):
        with parquet_faults():
            array = array.cast(pa.float64())
    if pa.types.is_null(array.type) and not len(array):  # how a table without rows is often written
        return np.empty(0)
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise InvalidTypeError(
            f"`{printable(name)}` must hold numbers or lists of numbers of one length, got type {kind}."
        )
    # `to_numpy` would import pandas where it is installed, which takes longer than reading millions of rows.
    return np.from_dlpack(array)


def _width(array: Any, name: str) -> int:
    if hasattr(array.type, "list_size"):
        return int(array.type.list_size)
    lengths = np.diff(np.from_dlpack(array.offsets))
    other = np.flatnonzero(lengths != lengths[:1])
    if len(other):
        what = f"`{printable(name)}` must have rows of one length, {lengths[0]}, got {lengths[other[0]]}"
        raise RowError(what, int(other[0]))
    return int(lengths[0]) if len(lengths) else 0


def _first(mask: Any) -> int:
    return int(np.flatnonzero(mask.to_numpy(zero_copy_only=False))[0])


def _groups(column: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number the different values of a column; see :func:`adafocal.tables.piece.coded`."""
    pa = require("pyarrow", extra="report")
    try:
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        values = coded.dictionary.to_numpy(zero_copy_only=False).astype(str).tolist()
    except (pa.ArrowException, ValueError) as error:
        raise InvalidValueError(
            f"`by` must name a column with one plain value per row, got type {column.type}."
        ) from error
    index = coded.indices.cast(pa.int64()).fill_null(len(values))
    names = [*map(group_name, values), *([group_name(None)] if column.null_count else [])]
    return np.from_dlpack(index), tuple(names)
