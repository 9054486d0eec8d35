# SPDX-License-Identifier: Apache-2.0
"""Feather and Arrow files: batches as they lie in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adafocal._checks import require
from adafocal.tables.arrow import arrow_faults, holds_lists
from adafocal.tables.columns import Names
from adafocal.tables.parquet import pieces_of
from adafocal.tables.piece import Piece
from adafocal.tables.source import HEAD, Source, check_begins

KIND = "Feather"


def read_feather(place: Source | Path, names: Names, numbers: int) -> Iterator[Piece]:
    """Read a Feather file (version 2), or an Arrow file or stream, piece by piece.

    Args:
        place: The file.
        names: Names of columns.
        numbers: How many a piece holds, about.

    Raises:
        ValueError: If the file is damaged, lacks a column, or a row has no value or another length.
    """
    source = Source.of(place)
    with open_feather(source) as (schema, batches):
        yield from pieces_of(source, KIND, schema, lambda wanted: _cut(batches, wanted, numbers), names)


@contextmanager
def open_feather(source: Source) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Open a Feather or Arrow file: its schema and its batches.

    Raises:
        ValueError: If it is none, or damaged.
    """
    ipc = require("pyarrow.ipc")
    head = source.head(HEAD)
    check_begins(source, head)
    with source.seekable() as file:
        with arrow_faults(KIND):
            opened = require("pyarrow").OSFile(str(file)) if isinstance(file, Path) else file
            streams = head.startswith(b"\xff\xff\xff\xff")
            reader = ipc.open_stream(opened) if streams else ipc.open_file(opened)
            schema = reader.schema
            batches = (reader.get_batch(index) for index in range(0 if streams else reader.num_record_batches))
        yield schema, iter(reader) if streams else batches


def _cut(batches: Any, wanted: list[str], numbers: int) -> Iterator[Any]:
    for batch in batches:
        part = batch.select(wanted)
        row = part.slice(0, 1).columns
        width = sum(len(column.flatten()) if holds_lists(column.type) else 1 for column in row)
        size = max(1, numbers // max(1, width))
        for start in range(0, part.num_rows, size):
            yield part.slice(start, size)
