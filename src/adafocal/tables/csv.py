# SPDX-License-Identifier: Apache-2.0
"""Text tables by Arrow's reader; where it stumbles or is not installed, row by row."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from adafocal._checks import require
from adafocal._text import printable, shown
from adafocal.errors import MissingPackageError
from adafocal.tables.arrow import arrow_faults, from_batch
from adafocal.tables.assemble import make_piece
from adafocal.tables.columns import SINGULAR, Columns, Names, find_columns
from adafocal.tables.dialect import LONGEST_FIELD, SAMPLE, Dialect, find_dialect
from adafocal.tables.numbers import Digits, is_number
from adafocal.tables.piece import Coded, Column, FormatError, Piece, RowError
from adafocal.tables.source import Source, check_begins

BLOCK = 1 << 20  # bytes that are read at a time


def read_csv(place: Source | Path, names: Names, numbers: int) -> Iterator[Piece]:
    """Read a text table piece by piece; blank lines are no rows.

    Args:
        place: The file.
        names: Names of columns.
        numbers: How many a piece holds, about.

    Raises:
        ValueError: If the file is no such table, or a row is not as the header says.
    """
    source = Source.of(place)
    sample = source.head(SAMPLE)
    check_begins(source, sample)
    dialect = find_dialect(sample, tabs=source.format == ".tsv")
    columns = find_columns([*dialect.header, *(name for name, _ in source.keys)], names)
    size = max(1, numbers // len([*columns.numbers, columns.label]))
    first_row, digits = 0, Digits()
    for table, n in _rows(source, dialect, columns, size):
        table |= _keys(source, dialect, columns, n)
        yield make_piece(source, columns, first_row, table, names, digits)
        first_row += n
    if first_row == 0:
        empty: dict[str, Column] = {name: np.empty(0, np.float32) for name in columns.wanted}
        yield make_piece(source, columns, 0, empty, names)


def _keys(source: Source, dialect: Dialect, columns: Columns, n: int) -> dict[str, Column]:
    """Columns that are folders, not values of the file."""
    held = {name: value for name, value in source.keys if name not in dialect.header}
    return {name: Coded(np.zeros(n, np.int64), (held[name],)) for name in columns.wanted if name in held}


def _rows(source: Source, dialect: Dialect, columns: Columns, size: int) -> Iterator[tuple[dict[str, Column], int]]:
    """Read ``size`` rows at a time, each with their number."""
    wanted = [name for name in columns.wanted if name in dialect.header]
    try:
        require("pyarrow.csv", extra="report")
    except MissingPackageError:
        yield from rows_one_by_one(source, dialect, columns, wanted, size)
        return
    try:
        for batch in _in_size(_batches(source, dialect, columns, wanted), size):
            yield {name: _narrow(column) for name, column in from_batch(batch, columns).items()}, batch.num_rows
    except FormatError as error:
        # Arrow counts neither rows nor names columns as we do: reading row by row finds the first that is wrong.
        for _ in rows_one_by_one(source, dialect, columns, wanted, size):
            pass
        raise error from None


def _narrow(column: Column) -> Column:
    return column.astype(np.float32) if isinstance(column, np.ndarray) and column.dtype == np.float64 else column


def _batches(source: Source, dialect: Dialect, columns: Columns, wanted: list[str]) -> Iterator[Any]:
    """Read the wanted columns, numbers as such and words as codes."""
    pa = require("pyarrow", extra="report")
    place = {name: index for index, name in enumerate(dialect.header)}
    types = {place[name]: pa.dictionary(pa.int32(), pa.string()) for name in columns.texts if name in wanted}
    types |= {place[name]: pa.float64() for name in columns.numbers}
    for batch in _typed(source, dialect, {place[name]: types[place[name]] for name in wanted}):
        yield batch.rename_columns(wanted)


def text_batches(source: Source) -> Iterator[Any]:
    """Read all columns of a text table as they are written.

    Raises:
        ValueError: If it is no text table.
    """
    pa = require("pyarrow", extra="report")
    dialect = find_dialect(source.head(SAMPLE), tabs=source.format == ".tsv")
    for batch in _typed(source, dialect, dict.fromkeys(range(len(dialect.header)), pa.string())):
        yield batch.rename_columns(list(dialect.header))


def _typed(source: Source, dialect: Dialect, types: dict[int, Any]) -> Iterator[Any]:
    """Read columns by their places, each of its type."""
    pa, reader = require("pyarrow", extra="report"), require("pyarrow.csv", extra="report")
    numbered = [f"c{index}" for index in range(len(dialect.header))]
    with source.opened() as raw:
        text = raw if dialect.encoding == "utf-8-sig" else Utf8(raw, dialect.encoding)
        _skip(text, dialect, raw is text)
        with arrow_faults("CSV"):
            try:
                stream = reader.open_csv(
                    text,
                    reader.ReadOptions(column_names=numbered, use_threads=False, block_size=BLOCK),
                    reader.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
                    reader.ConvertOptions(
                        column_types={numbered[place]: kind for place, kind in types.items()},
                        include_columns=[numbered[place] for place in types],
                        null_values=[""],
                        decimal_point=dialect.decimal,
                    ),
                )
            except pa.ArrowInvalid as error:
                if "Empty CSV" in str(error):
                    return
                raise
        while True:
            with arrow_faults("CSV"):
                batch = next(stream, None)
            if batch is None:
                return
            if batch.num_rows:
                yield batch


def _skip(text: Any, dialect: Dialect, raw: bool) -> None:
    """Leave out the header, and in raw bytes the mark before it."""
    if raw and (first := text.read(3)) != codecs.BOM_UTF8:
        text.read(dialect.start - len(first))
    else:
        text.read(dialect.start)


class Utf8(io.RawIOBase):
    """Text of another encoding as bytes of UTF-8."""

    def __init__(self, raw: Any, encoding: str) -> None:
        self.raw, self.encoding = raw, encoding
        self.decoder = codecs.getincrementaldecoder(encoding)()
        self.left = b""

    def readable(self) -> bool:
        """It is read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes; all for a negative number."""
        while size < 0 or len(self.left) < size:
            part = self.raw.read(BLOCK)
            try:
                self.left += self.decoder.decode(part, final=not part).encode("utf-8")
            except UnicodeDecodeError as error:
                raise FormatError.not_text(error, self.encoding) from error
            if not part:
                break
        size = len(self.left) if size < 0 else size
        found, self.left = self.left[:size], self.left[size:]
        return found


def _in_size(batches: Iterable[Any], size: int) -> Iterator[Any]:
    """Cut and join batches to ``size`` rows; the last has fewer."""
    pa = require("pyarrow", extra="report")
    held: list[Any] = []
    for batch in batches:
        held.append(batch)
        while sum(one.num_rows for one in held) >= size:
            table = pa.Table.from_batches(held)
            yield _one(table.slice(0, size))
            rest = table.slice(size)
            held = rest.to_batches() if rest.num_rows else []
    if held:
        yield _one(pa.Table.from_batches(held))


def _one(table: Any) -> Any:
    return table.unify_dictionaries().combine_chunks().to_batches()[0]


def rows_one_by_one(
    source: Source, dialect: Dialect, columns: Columns, wanted: list[str], size: int
) -> Iterator[tuple[dict[str, Column], int]]:
    """Read a text table without Arrow, and name the first row that is wrong.

    Raises:
        ValueError: If a row has too few or too many values, or one that is no number.
    """
    place = {name: dialect.header.index(name) for name in wanted}
    first_row = 0
    with source.opened() as raw:
        text = io.TextIOWrapper(io.BufferedReader(_Readable(raw)), encoding=dialect.encoding, newline="")
        rows = (row for row in csv.reader(_no_nul(text), delimiter=dialect.separator, strict=True) if row)
        with _csv_faults():
            next(rows, None)
        while True:
            with _csv_faults():
                part = list(islice(rows, size))
            if not part:
                return
            for row, values in enumerate(part, start=first_row):
                _check_row(values, row, dialect, columns, place)
            cells = list(zip(*part, strict=True))
            held: dict[str, Column] = {name: _coded(cells[place[name]]) for name in columns.texts if name in place}
            held |= {name: _numbers(cells[place[name]], dialect) for name in columns.numbers}
            yield held, len(part)
            first_row += len(part)


class _Readable(io.RawIOBase):
    """What Python's own text reader needs of a stream."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self.stream.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _no_nul(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if "\0" in line:
            raise FormatError.unreadable("CSV", "it holds NUL characters: save it as UTF-8")
        yield line


def _check_row(values: list[str], row: int, dialect: Dialect, columns: Columns, place: dict[str, int]) -> None:
    if len(values) != len(dialect.header):
        raise RowError(f"rows must have {len(dialect.header)} values as the header has, got {len(values)}", row)
    for name in columns.numbers:
        cell = values[place[name]]
        if not cell.strip():
            raise RowError(f"`{printable(name)}` must have no missing values, got {shown(cell)}", row)
        if not is_number(cell.replace(",", ".") if dialect.decimal == "," and "." not in cell else cell):
            sign = ", and values before it have decimal points" if "," in cell and dialect.decimal == "." else ""
            raise RowError(f"`{printable(name)}` must be a number, got {shown(cell)}", row, sign)


def _numbers(cells: tuple[str, ...], dialect: Dialect) -> np.ndarray:
    point = (cell.replace(",", ".") for cell in cells) if dialect.decimal == "," else cells
    return np.array([float(cell) for cell in point], dtype=np.float64).astype(np.float32)


def _coded(cells: tuple[str, ...]) -> Coded:
    codes: dict[str, int] = {}
    index = np.array([codes.setdefault(cell, len(codes)) for cell in cells], dtype=np.int64)
    return Coded(index, tuple(codes))


@contextmanager
def _csv_faults() -> Iterator[None]:
    """Read fields of any length, and say what is wrong with the text."""
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        yield
    except UnicodeDecodeError as error:
        raise FormatError.not_text(error) from error
    except csv.Error as error:
        raise FormatError.unreadable("CSV", error) from error
    finally:
        csv.field_size_limit(limit)


def write_csv(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write one column per class and feature; each number in as many digits as tell it from others of its dtype."""
    header: list[str] = []
    for name, values in arrays.items():
        if values.ndim == 1:
            header.append("label" if name == "labels" else name)
        else:
            header += [f"{SINGULAR[name]}_{index}" for index in range(values.shape[1])]
    text = [values.reshape(len(values), -1).astype(str) for values in arrays.values()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(np.concatenate(text, axis=1).tolist())
