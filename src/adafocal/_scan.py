# SPDX-License-Identifier: Apache-2.0
"""Reading tables of predictions piece by piece, so that memory does not grow with their size."""

import csv
import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adafocal._checks import require
from adafocal._tables import (
    SUFFIXES,
    Columns,
    RowError,
    arrow_values,
    class_after_class,
    csv_header,
    csv_labels,
    csv_numbers,
    find_columns,
    known_suffix,
    read_npz,
    reason,
    stack,
)
from adafocal.errors import InvalidValueError, MissingFileError
from adafocal.predictions import Predictions

# Numbers per piece: small enough for the processor's cache, large enough that calls cost nothing.
PIECE = 1 << 19


@dataclass(frozen=True)
class Names:
    """Names of columns given by the user; None: found by the rules of :func:`~adafocal._tables.find_columns`."""

    logits: str | None = None
    probs: str | None = None
    label: str | None = None
    by: str | None = None


@dataclass(frozen=True)
class Piece:
    """Some consecutive rows of a file, not yet checked.

    Attributes:
        path: The file.
        first_row: Where the piece begins in it.
        columns: Which columns hold what.
        table: Columns by name, arrays or Arrow arrays.
        by: Name of the column of groups.
    """

    path: Path
    first_row: int
    columns: Columns
    table: dict[str, Any]
    by: str | None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.table[self.columns.label])

    def width(self) -> int | None:
        """Number of classes of a list column's first row, or of columns; None where there is no row."""
        if len(self.columns.values) > 1 or self.n == 0:
            return len(self.columns.values)
        first = self.table[self.columns.values[0]][:1]
        return int(np.prod(first.shape[1:])) if isinstance(first, np.ndarray) else len(first[0])

    def predictions(self) -> Predictions:
        """Check the rows.

        Raises:
            TypeError: If a column does not hold numbers.
            ValueError: With the row and file, if the rows are no predictions.
        """
        try:
            values = _by_class([self._array(name) for name in self.columns.values])
            labels = self._array(self.columns.label)
            if self.path.suffix.lower() == ".csv":
                labels = csv_labels(labels)
            return Predictions(**{self.columns.kind: values, "labels": labels})
        except RowError as error:
            raise error.after(self.first_row, self.path) from None
        except (ValueError, TypeError) as error:
            raise type(error)(f"{str(error).rstrip('.')} in {str(self.path)!r}.") from None

    def _array(self, name: str) -> np.ndarray:
        column = self.table[name]
        return column if isinstance(column, np.ndarray) else arrow_values(column, name)

    def groups(self) -> list[tuple[str, np.ndarray]]:
        """Give each value of the group column, as text, with the rows that have it."""
        if self.by is None:
            return []
        column = self.table[self.by]
        values = np.asarray(column if isinstance(column, np.ndarray) else column.to_numpy(zero_copy_only=False))
        texts = values.astype(str)
        names, index = np.unique(texts, return_inverse=True)
        return [(str(name), np.flatnonzero(index == place)) for place, name in enumerate(names)]


def _by_class(parts: list[np.ndarray]) -> np.ndarray:
    """Join columns to a matrix of shape (N, C) that lies in memory class after class."""
    if len(parts) > 1 or parts[0].ndim != 2:
        return stack(parts) if len(parts) == 1 else np.stack(parts).T
    return class_after_class(parts[0])


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """Give the files that paths, folders and globs name; a folder's tables in order of their names.

    Raises:
        FileNotFoundError: If a path names no file.
        ValueError: If there is no path, or a file has another suffix than a table of predictions.
    """
    files: list[Path] = []
    for path in paths:
        named = (
            [Path(path)]
            if Path(path).exists()
            else [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        )
        found = [file for place in named for file in (_tables_in(place) if place.is_dir() else [place])]
        if not found:
            raise MissingFileError(f"`FILE` must name existing files ({', '.join(SUFFIXES)}), got {str(path)!r}.")
        files += found
    for file in files:
        known_suffix(file)
    if not files:
        raise InvalidValueError("`FILE` must name at least one file, got none.")
    return list(dict.fromkeys(files))


def _tables_in(folder: Path) -> list[Path]:
    inside = sorted(path for path in folder.rglob("*") if path.is_file())
    # Engines put marks such as _SUCCESS and hidden copies beside their data.
    return [path for path in inside if path.suffix.lower() in SUFFIXES and path.name[0] not in "._"]


def count_rows(files: Sequence[Path]) -> int | None:
    """Give the number of rows, or None where only reading all of it would tell."""
    if any(known_suffix(file) != ".parquet" for file in files):
        return None
    return sum(_parquet_rows(file) for file in files)


def _parquet_rows(file: Path) -> int:
    pq = require("pyarrow.parquet", extra="report")
    return int(_open(file, lambda: pq.read_metadata(file)).num_rows)


def scan(files: Sequence[Path], names: Names) -> Iterator[Piece]:
    """Read files piece by piece.

    Raises:
        ValueError: If a file is damaged or lacks a column, or files differ in kind.
    """
    readers = {".parquet": scan_parquet, ".csv": _scan_csv, ".npz": _scan_npz}
    kind = None
    for file in files:
        for piece in readers[known_suffix(file)](file, names):
            kind = kind or piece.columns.kind
            if piece.columns.kind != kind:
                raise InvalidValueError(f"files must all hold {kind}, got {piece.columns.kind} in {str(file)!r}.")
            yield piece


def _columns(header: Sequence[str], names: Names, file: Path) -> Columns:
    try:
        found = find_columns(header, logits=names.logits, probs=names.probs, label=names.label)
    except ValueError as error:
        raise InvalidValueError(f"{str(error).rstrip('.')} in {str(file)!r}.") from None
    if names.by is not None and names.by not in header:
        raise InvalidValueError(f"columns must include `{names.by}`, got {', '.join(header)} in {str(file)!r}.")
    return found


def _wanted(columns: Columns, names: Names) -> list[str]:
    by = () if names.by is None else (names.by,)
    return list(dict.fromkeys([*columns.values, columns.label, *by]))


def _open(file: Path, read: Any) -> Any:
    pa = require("pyarrow", extra="report")
    try:
        return read()
    except (pa.ArrowException, OSError) as error:
        kind = "Parquet" if known_suffix(file) == ".parquet" else "CSV"
        raise InvalidValueError(
            f"`FILE` must be a readable {kind} file, got {str(file)!r}: {reason(error)}."
        ) from error


def scan_parquet(
    file: Path, names: Names, *, row_groups: Sequence[int] | None = None, first_row: int = 0
) -> Iterator[Piece]:
    """Read a Parquet file, or some row groups of it of which the first begins at a row, piece by piece."""
    pq = require("pyarrow.parquet", extra="report")
    # Without a buffer of whole row groups, memory does not depend on how the file was written.
    with _open(file, lambda: pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)) as table:
        columns = _columns(table.schema_arrow.names, names, file)
        wanted = _wanted(columns, names)
        batches = table.iter_batches(batch_size=_rows(table.metadata), columns=wanted, row_groups=row_groups)
        while (batch := _open(file, lambda: next(batches, None))) is not None:
            yield Piece(file, first_row, columns, {name: batch[name] for name in wanted}, names.by)
            first_row += batch.num_rows


def _rows(metadata: Any) -> int:
    """Give the rows per piece for the width of a row, lists included."""
    if metadata.num_row_groups == 0 or metadata.row_group(0).num_rows == 0:
        return 1
    group = metadata.row_group(0)
    width = sum(group.column(index).num_values for index in range(group.num_columns)) / group.num_rows
    return max(1, int(PIECE / width))


def _scan_csv(file: Path, names: Names) -> Iterator[Piece]:
    pa, csv_reader = require("pyarrow", extra="report"), require("pyarrow.csv", extra="report")
    columns = _columns(csv_header(file), names, file)
    wanted = _wanted(columns, names)
    types = {name: pa.float32() for name in columns.values} | {columns.label: pa.float64()}
    if names.by is not None and names.by not in types:
        types[names.by] = pa.string()
    options = csv_reader.ConvertOptions(column_types=types, include_columns=wanted, null_values=[])
    header = csv_reader.ReadOptions(column_names=csv_header(file), skip_rows=1, block_size=1 << 22)
    try:
        first_row = 0
        with csv_reader.open_csv(file, read_options=header, convert_options=options) as batches:
            for batch in batches:
                yield Piece(file, first_row, columns, {name: batch[name] for name in wanted}, names.by)
                first_row += batch.num_rows
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return
        _find_fault(file, [*columns.values, columns.label])
        raise InvalidValueError(f"`FILE` must be a readable CSV file, got {str(file)!r}: {reason(error)}.") from error


def _find_fault(file: Path, wanted: Sequence[str]) -> None:
    """Read a CSV file slowly and raise for its first row that is not as the header says."""
    header = csv_header(file)
    places = [header.index(name) for name in wanted]
    with file.open(newline="", encoding="utf-8-sig") as lines:
        for number, row in enumerate((row for row in csv.reader(lines) if row), start=-1):
            if number >= 0:
                try:
                    csv_numbers(row, header, places, number)
                except RowError as error:
                    raise error.after(0, file) from None


def _scan_npz(file: Path, names: Names) -> Iterator[Piece]:
    arrays = read_npz(file, logits=names.logits, probs=names.probs, label=names.label, by=names.by)
    kind = "logits" if "logits" in arrays else "probs"
    columns = Columns(kind, (kind,), "labels")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidValueError(
            f"arrays must have one row per label, {lengths['labels']}, got {lengths} in {str(file)!r}."
        )
    rows = max(1, PIECE // max(1, int(np.prod(arrays[kind].shape[1:]))))
    for start in range(0, lengths[kind], rows):
        yield Piece(
            file, start, columns, {name: array[start : start + rows] for name, array in arrays.items()}, names.by
        )
