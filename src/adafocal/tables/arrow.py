# SPDX-License-Identifier: Apache-2.0
"""From Arrow's columns to arrays and coded words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from adafocal._checks import require
from adafocal._text import printable
from adafocal.errors import AdafocalError, InvalidTypeError, InvalidValueError
from adafocal.tables.columns import Columns
from adafocal.tables.piece import RAGGED, Coded, Column, FormatError, RowError


@contextmanager
def arrow_faults(kind: str) -> Iterator[None]:
    """Say what is wrong with a file of some kind; the block calls nothing but pyarrow."""
    pa = require("pyarrow")
    try:
        yield
    except (MemoryError, AdafocalError):
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            raise MemoryError(str(error)) from error
        raise FormatError.unreadable(kind, error) from error


def from_batch(batch: Any, columns: Columns) -> dict[str, Column]:
    """Turn the wanted columns of a batch into arrays and coded words.

    Raises:
        RowError: If a value is missing or a list is of another length than the first.
        TypeError: If a column does not hold what it should.
    """
    held = dict(zip(batch.schema.names, batch.columns, strict=True))
    nothing = columns.nothing if columns.ragged else None
    table: dict[str, Column] = {
        name: numbers(held[name], name, *((nothing, RAGGED) if name in columns.values else ()))
        for name in columns.numbers
        if name in held
    }
    for name in (name for name in columns.texts if name in held and name not in table):
        alone = name == columns.time and name not in (columns.label, columns.cluster, *columns.by)
        table[name] = (instants if alone else words)(held[name], name)
    return table


def of_text(table: dict[str, Column], columns: Columns) -> dict[str, Column]:
    """Numbers that were written as text are float32, as those of CSV always were."""
    held = {name: table[name] for name in columns.numbers if name in table}
    return table | {name: column.astype(np.float32) for name, column in held.items() if isinstance(column, np.ndarray)}


def numbers(array: Any, name: str, nothing: float | None = None, remedy: str = "") -> np.ndarray:
    """Turn a column of numbers or of number lists of one length into an array.

    Args:
        array: The column.
        name: Its name.
        nothing: What stands behind the end of lists that are shorter than others; None where all are of one length.
        remedy: What to do where they are not.

    Raises:
        RowError: If a value is missing or a list is of another length than the first.
        TypeError: If the column does not hold numbers.
    """
    _check_no_null(array, name)
    kind = array.type
    if holds_lists(kind):
        flat = array.flatten()
        lengths = _lengths(array)
        if nothing is None:
            _check_alike(lengths, name, remedy)
        if flat.null_count:
            row = int(np.searchsorted(np.cumsum(lengths), _first(flat.is_null()), side="right"))
            raise RowError(f"`{printable(name)}` must have no missing values, got null", row)
        plain, width = _plain(flat, kind, name), int(getattr(kind, "list_size", lengths.max(initial=0)))
        if len(plain) == len(array) * width:
            return plain.reshape(len(array), width)
        filled = np.full((len(array), width), nothing, plain.dtype if plain.dtype.kind == "f" else np.float64)
        filled[np.arange(width) < lengths[:, None]] = plain
        return filled
    return _plain(array, kind, name)


def words(array: Any, name: str) -> Column:
    """Turn a column of labels or groups into numbers where it holds numbers, else into coded words."""
    pa = require("pyarrow")
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_null(kind) and not len(array):  # how a table without rows is often written
        return np.empty(0)
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if plain and not array.null_count and not pa.types.is_dictionary(array.type):
        return _plain(array, kind, name)
    plain_values = f"`{printable(name)}` must have one plain value per row, got type {array.type}."
    if pa.types.is_nested(kind):
        raise InvalidValueError(plain_values)
    if pa.types.is_timestamp(kind) and kind.unit == "ns" and not pa.types.is_dictionary(array.type):
        array = array.cast(pa.timestamp("us", kind.tz), safe=False)  # Python has no nanoseconds
    if pa.types.is_floating(kind) and not pa.types.is_dictionary(array.type):
        array = array.cast(pa.float64())
    try:
        coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        values = tuple(
            None if value is None else value.decode("utf-8", "backslashreplace") if isinstance(value, bytes)
            else str(value)
            for value in coded.dictionary.to_pylist()
        )  # fmt: skip
    except (pa.ArrowException, ValueError) as error:
        raise InvalidValueError(plain_values) from error
    index = coded.indices.cast(pa.int64())
    if index.null_count:  # a scalar of Arrow would import pandas, which takes longer than reading millions of rows
        index = index.fill_null(len(values))
    return Coded(np.from_dlpack(index), (*values, *([None] if coded.indices.null_count else [])))


def instants(array: Any, name: str) -> Column:
    """Turn dates and timestamps into those of numpy, without a text of each; all else is read as words."""
    pa = require("pyarrow")
    if not (pa.types.is_timestamp(array.type) or pa.types.is_date(array.type)) or array.null_count:
        return words(array, name)
    micro = array.cast(pa.timestamp("us", getattr(array.type, "tz", None)), safe=False).cast(pa.int64())
    return np.from_dlpack(micro).view("datetime64[us]")


def holds_lists(kind: Any) -> bool:
    """Tell whether a type is one of lists."""
    types = require("pyarrow").types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def no_rows(schema: Any, names: list[str]) -> Any:
    """A batch of some columns without rows."""
    pa = require("pyarrow")
    return pa.RecordBatch.from_pylist([], schema=pa.schema([schema.field(name) for name in names]))


def _check_no_null(array: Any, name: str) -> None:
    if array.null_count:
        raise RowError(f"`{printable(name)}` must have no missing values, got null", _first(array.is_null()))


def _plain(array: Any, kind: Any, name: str) -> np.ndarray:
    """Turn numbers into an array, without a copy where Arrow holds them as numpy does."""
    pa = require("pyarrow")
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_decimal(array.type):
        with arrow_faults("Parquet"):
            array = array.cast(pa.float64())
    if pa.types.is_null(array.type) and not len(array):
        return np.empty(0)
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise InvalidTypeError(
            f"`{printable(name)}` must hold numbers or lists of numbers of one length, got type {kind}."
        )
    # `to_numpy` would import pandas where it is installed, which takes longer than reading millions of rows.
    return np.from_dlpack(array)


def _lengths(array: Any) -> np.ndarray:
    """How long each list is, shape (N,)."""
    if hasattr(array.type, "list_size"):
        return np.full(len(array), int(array.type.list_size))
    return np.diff(np.from_dlpack(array.offsets))


def _check_alike(lengths: np.ndarray, name: str, remedy: str) -> None:
    other = np.flatnonzero(lengths != lengths[:1])
    if len(other):
        what = f"`{printable(name)}` must have rows of one length, {lengths[0]}, got {lengths[other[0]]}"
        raise RowError(what, int(other[0]), remedy)


def _first(mask: Any) -> int:
    return int(np.flatnonzero(mask.to_numpy(zero_copy_only=False))[0])
