# SPDX-License-Identifier: Apache-2.0
"""Which files a command is given, and their rows piece by piece, so that memory does not grow with their size."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from adafocal.errors import InvalidValueError, MissingFileError
from adafocal.tables.columns import Names
from adafocal.tables.parquet import parquet_row_groups
from adafocal.tables.piece import Piece
from adafocal.tables.read import SUFFIXES, known_suffix, named, read_table

__all__ = ["PIECE", "Names", "Piece", "count_rows", "find_files", "row_groups", "scan"]

# Numbers per piece: small enough for the processor's cache, large enough that calls cost nothing.
PIECE = 1 << 19


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
    return sum(rows for file in files for rows, _ in row_groups(file))


def row_groups(file: Path) -> list[tuple[int, int]]:
    """Give rows and bytes of each row group of a Parquet file.

    Raises:
        ValueError: If the file is damaged.
    """
    with named(file, "FILE"):
        return parquet_row_groups(file)


def scan(
    files: Sequence[Path], names: Names, *, row_groups: Sequence[int] | None = None, first_row: int = 0
) -> Iterator[Piece]:
    """Read files piece by piece.

    Args:
        files: Tables of predictions.
        names: Names of columns.
        row_groups: Of a single Parquet file, the row groups to read; None for all.
        first_row: Where the first of them begins.

    Raises:
        ValueError: With the file and, where there is one, the row, if a file is damaged, lacks a column or holds a row
            unlike the others, or files differ in kind.
    """
    kind = None
    for file in files:
        with named(file, "FILE"):
            for piece in read_table(file, names, PIECE, row_groups=row_groups, first_row=first_row):
                kind = kind or piece.columns.kind
                if piece.columns.kind != kind:
                    raise InvalidValueError(f"files must all hold {kind}, got {piece.columns.kind}.")
                yield piece
