# SPDX-License-Identifier: Apache-2.0
"""Which tables a command is given, and their rows piece by piece, so that memory does not grow with their size."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from adafocal.errors import InvalidValueError
from adafocal.tables.columns import Names
from adafocal.tables.parquet import parquet_row_groups
from adafocal.tables.piece import Piece
from adafocal.tables.read import named, read_table
from adafocal.tables.source import Source, find_sources

__all__ = ["PIECE", "Names", "Piece", "count_rows", "find_files", "row_groups", "scan"]

UNLIKE = (
    "files must be alike, got an evaluation log, or one with epochs, beside another table: evaluate each for itself, "
    "or name what rows belong to (--cluster)"
)
# Numbers per piece: small enough for the processor's cache, large enough that calls cost nothing.
PIECE = 1 << 19


def find_files(paths: Iterable[str | Path]) -> list[Source]:
    """The tables that paths, folders, globs and addresses name; each once, a folder's in order of their names.

    Raises:
        FileNotFoundError: If a path names no file.
        ValueError: If there is no path, or a file has another suffix than a table of predictions.
    """
    files = [file for path in paths for file in find_sources(path)]
    if not files:
        raise InvalidValueError("`FILE` must name at least one file, got none.")
    return list(dict.fromkeys(files))


def count_rows(files: Sequence[Source | Path]) -> int | None:
    """The number of rows, or None where only reading all of it would tell."""
    sources = [Source.of(file) for file in files]
    if any(source.format != ".parquet" or source.path is None or source.packing for source in sources):
        return None
    return sum(rows for source in sources for rows, _ in row_groups(source))


def row_groups(file: Source | Path) -> list[tuple[int, int]]:
    """Rows and bytes of each row group of a Parquet file.

    Raises:
        ValueError: If the file is damaged.
    """
    with named(file, "FILE"):
        return parquet_row_groups(file)


def scan(
    files: Sequence[Source | Path], names: Names, *, row_groups: Sequence[int] | None = None, first_row: int = 0
) -> Iterator[Piece]:
    """Read files piece by piece.

    Args:
        files: Tables of predictions.
        names: Names of columns.
        row_groups: Of a single Parquet file, the row groups to read; None for all.
        first_row: Where the first of them begins.

    Raises:
        ValueError: With the file and, where there is one, the row, if a file is damaged, lacks a column or holds a row
            unlike the others, or files differ in kind or in the names of their classes.
    """
    first = None
    for file in files:
        with named(file, "FILE"):
            for piece in read_table(file, names, PIECE, row_groups=row_groups, first_row=first_row):
                first = first or piece.columns
                if piece.columns.kind != first.kind:
                    raise InvalidValueError(f"files must all hold {first.kind}, got {piece.columns.kind}.")
                if piece.columns.ragged != first.ragged or (piece.columns.cluster is None) != (first.cluster is None):
                    raise InvalidValueError(UNLIKE)
                if piece.columns.classes != first.classes:
                    got = ", ".join(piece.columns.classes) or "numbers"
                    wanted = ", ".join(first.classes) or "numbers"
                    raise InvalidValueError(f"files must all have the classes {wanted} in this order, got {got}.")
                yield piece
