# SPDX-License-Identifier: Apache-2.0
"""Tables of predictions on disk, whatever their format: one reader and one writer for each."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from adafocal._text import printable, shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.tables.columns import Names
from adafocal.tables.csv import read_csv, write_csv
from adafocal.tables.npz import read_npz, write_npz
from adafocal.tables.parquet import read_parquet, write_parquet
from adafocal.tables.piece import FormatError, Piece, RowError

SUFFIXES = (".parquet", ".npz", ".csv")
READERS: dict[str, Callable[..., Iterator[Piece]]] = {".parquet": read_parquet, ".npz": read_npz, ".csv": read_csv}
WRITERS = {".parquet": write_parquet, ".npz": write_npz, ".csv": write_csv}


def known_suffix(path: str | Path) -> str:
    """Give the suffix of a table of predictions, or raise."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidValueError(f"`path` must end in {', '.join(SUFFIXES)}, got {str(path)!r}.")
    return suffix


def write_table(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write arrays named ``logits`` or ``probs``, ``labels``, ``features`` to a file of a known suffix."""
    WRITERS[known_suffix(path)](arrays, path)


def read_table(
    path: Path, names: Names, numbers: int, *, row_groups: Sequence[int] | None = None, first_row: int = 0
) -> Iterator[Piece]:
    """Read a table piece by piece; at least one piece, which may be empty, is given.

    Args:
        path: A file of a known suffix.
        names: Names of columns.
        numbers: How many a piece holds, about.
        row_groups: Of a Parquet file, the row groups to read; None for all.
        first_row: Where the first of them begins.

    Raises:
        ValueError: If the file is damaged, columns are missing, or a row is not like the others; see :func:`named`.
    """
    read = partial(READERS[known_suffix(path)], path, names, numbers)
    widths: dict[str, int] = {}
    pieces = read() if row_groups is None else read(row_groups=row_groups, first_row=first_row)
    for piece in pieces:
        if piece.n:
            widths = widths or _widths(piece)
            _check_widths(piece, widths)
        yield piece


@contextmanager
def named(path: str | Path, argument: str, *, rows: bool = True) -> Iterator[None]:
    """Name the file in what is raised on its content.

    Args:
        path: The file.
        argument: What sentences on the whole file call it.
        rows: Whether sentences on columns and rows name the file too.
    """
    place = shown(str(path))
    try:
        yield
    except FormatError as error:
        raise InvalidValueError(f"`{argument}` {error.rule.replace('{file}', place)}") from error
    except RowError as error:
        if not rows:
            raise
        raise InvalidValueError(f"{error.what} in row {error.row} of {place}.") from None
    except (InvalidValueError, InvalidTypeError) as error:
        if not rows:
            raise
        raise type(error)(f"{str(error).rstrip('.')} in {place}.") from None


def _widths(piece: Piece) -> dict[str, int]:
    found = {piece.columns.values[0]: piece.values.shape[1]}
    return found if piece.features is None else found | {piece.columns.features[0]: piece.features.shape[1]}


def _check_widths(piece: Piece, expected: dict[str, int]) -> None:
    for name, width in _widths(piece).items():
        if width != expected[name]:
            what = f"`{printable(name)}` must have rows of one length, {expected[name]}, got {width}"
            raise RowError(what, piece.first_row)
