# SPDX-License-Identifier: Apache-2.0
"""Tables of predictions as Parquet, with checksums of pages."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from adafocal._checks import require
from adafocal.tables.arrow import arrow_faults, from_batch, holds_lists, no_rows
from adafocal.tables.assemble import make_piece, of_folders
from adafocal.tables.class_names import named_by, names_in, with_names
from adafocal.tables.columns import Names, find_columns
from adafocal.tables.numbers import Digits
from adafocal.tables.piece import Piece, RowError
from adafocal.tables.source import HEAD, Source, check_begins

KIND = "Parquet"


def read_parquet(
    place: Source | Path, names: Names, numbers: int, *, row_groups: Sequence[int] | None = None, first_row: int = 0
) -> Iterator[Piece]:
    """Read a Parquet file piece by piece.

    Args:
        place: The file.
        names: Names of columns.
        numbers: How many a piece holds, about.
        row_groups: The row groups to read; None for all.
        first_row: Where the first of them begins.

    Raises:
        ValueError: If the file is damaged, lacks a column, or a row has no value or another length.
    """
    source = Source.of(place)
    with open_parquet(source) as table:
        with arrow_faults(KIND):
            schema = table.schema_arrow

        def batches(wanted: list[str]) -> Iterator[Any]:
            return _batches(table, wanted, numbers, row_groups)

        yield from pieces_of(source, KIND, schema, batches, names, first_row)


@contextmanager
def open_parquet(source: Source) -> Iterator[Any]:
    """Open a Parquet file, whose pages are verified where they have checksums.

    Raises:
        ValueError: If it is none, or damaged.
    """
    with _opened(source) as file:
        with arrow_faults(KIND):
            # Without a buffer of whole row groups, memory does not depend on how the file was written.
            table = require("pyarrow.parquet").ParquetFile(
                file, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True
            )
        with table:
            yield table


def pieces_of(
    source: Source,
    kind: str,
    schema: Any,
    read: Callable[[list[str]], Iterator[Any]],
    names: Names,
    first_row: int = 0,
) -> Iterator[Piece]:
    """Turn batches of Arrow into pieces; at least one, which may be empty.

    Args:
        source: Where they come from.
        kind: Of file, for what is wrong with it.
        schema: All columns of the table.
        read: Gives the batches of some columns.
        names: Names of columns.
        first_row: Where the first batch begins.
    """
    keys = source.keys_beside(schema.names)
    columns = find_columns([*schema.names, *keys], names)
    if columns.values[0] in schema.names:
        columns = named_by(columns, names_in(schema.field(columns.values[0]).metadata))
    wanted = [name for name in columns.wanted if name not in keys]
    digits = Digits()

    def piece(batch: Any) -> Piece:
        try:
            table = from_batch(batch, columns)
        except RowError as error:
            raise error.after(first_row) from None
        table |= of_folders(keys, columns, batch.num_rows)
        return make_piece(source, columns, first_row, table, names, digits)

    with arrow_faults(kind):
        batches = read(wanted)
    empty = first_row == 0
    while True:
        with arrow_faults(kind):
            batch = next(batches, None)
        if batch is None:
            break
        yield piece(batch)
        first_row, empty = first_row + batch.num_rows, False
    if empty:
        with arrow_faults(kind):
            batch = no_rows(schema, wanted)
        yield piece(batch)


def parquet_row_groups(place: Source | Path) -> list[tuple[int, int]]:
    """Rows and bytes of each row group.

    Raises:
        ValueError: If the file is damaged.
    """
    with _opened(Source.of(place)) as file, arrow_faults(KIND):
        metadata = require("pyarrow.parquet").read_metadata(file)
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        return [(group.num_rows, group.total_byte_size) for group in groups]


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    with source.seekable() as file:
        if isinstance(file, Path):
            with file.open("rb") as opened:
                check_begins(source, opened.read(HEAD))
        yield file


def write_parquet(arrays: dict[str, np.ndarray], path: Path, classes: Sequence[str] = ()) -> None:
    """Write matrices as columns of lists of one length; that of logits or probabilities keeps the names of classes."""
    pa, pq = require("pyarrow"), require("pyarrow.parquet")
    columns, fields = [], []
    for name, array in arrays.items():
        if array.ndim == 1:
            columns.append(pa.array(array))
        else:
            columns.append(pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1]))
        field = pa.field("label" if name == "labels" else name, columns[-1].type)
        fields.append(with_names(field, classes) if name in ("logits", "probs") else field)
    pq.write_table(pa.table(columns, schema=pa.schema(fields)), path, write_page_checksum=True)


def _batches(table: Any, wanted: list[str], numbers: int, row_groups: Sequence[int] | None) -> Iterator[Any]:
    """Read in pieces of as many rows as hold ``numbers``, by the width of the first row, lists included.

    The metadata of columns would tell the width too, but where they are damaged Arrow ends the process.
    """
    first = next(table.iter_batches(batch_size=1, columns=wanted, row_groups=row_groups), None)
    held = [] if first is None else first.columns
    width = sum(len(column.flatten()) if holds_lists(column.type) else 1 for column in held)
    size = max(1, numbers // max(1, width))
    return iter(table.iter_batches(batch_size=size, columns=wanted, row_groups=row_groups))
