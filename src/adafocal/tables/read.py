# SPDX-License-Identifier: Apache-2.0
"""Tables of predictions, whatever their format: one reader and one writer for each."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from adafocal._settings import ended
from adafocal._text import printable, shown
from adafocal.errors import InvalidTypeError, InvalidValueError, MissingFileError
from adafocal.tables.columns import Columns, Names
from adafocal.tables.csv import read_csv, write_csv
from adafocal.tables.feather import read_feather
from adafocal.tables.inspect_ai import read_inspect
from adafocal.tables.jsonl import read_jsonl
from adafocal.tables.npz import read_npz, write_npz
from adafocal.tables.numbers import padded
from adafocal.tables.parquet import read_parquet, write_parquet
from adafocal.tables.piece import RAGGED, FormatError, Piece, RowError, said_by, said_of
from adafocal.tables.source import WRITTEN, Source, known_suffix

Built = TypeVar("Built")
WHOLE = 1 << 22  # numbers read at a time where all are kept
READERS: dict[str, Callable[..., Iterator[Piece]]] = {
    ".parquet": read_parquet, ".npz": read_npz, ".csv": read_csv, ".tsv": read_csv, ".jsonl": read_jsonl,
    ".ndjson": read_jsonl, ".feather": read_feather, ".arrow": read_feather,
    ".eval": read_inspect, ".json": read_inspect,
}  # fmt: skip
WRITERS = dict(zip(WRITTEN, (write_parquet, write_npz, write_csv), strict=True))


def write_table(arrays: dict[str, np.ndarray], path: Path, classes: Sequence[str] = ()) -> None:
    """Write arrays named ``logits`` or ``probs``, ``labels``, ``features`` to a file of a known suffix.

    The names of classes, if there are any, are kept: beside the rows in Parquet and npz, as names of columns in CSV.
    """
    WRITERS[known_suffix(path, writes=True)](arrays, path, classes)


def read_table(
    place: Source | Path, names: Names, numbers: int, *, row_groups: Sequence[int] | None = None, first_row: int = 0
) -> Iterator[Piece]:
    """Read a table piece by piece; at least one piece, which may be empty, is given.

    Args:
        place: A file of a known suffix.
        names: Names of columns.
        numbers: How many a piece holds, about.
        row_groups: Of a Parquet file, the row groups to read; None for all.
        first_row: Where the first of them begins.

    Raises:
        ValueError: If the file is damaged, columns are missing, or a row is not like the others; see :func:`named`.
    """
    source = Source.of(place)
    read = partial(READERS[source.format], source, names, numbers)
    widths: dict[str, int] = {}
    pieces = read() if row_groups is None else read(row_groups=row_groups, first_row=first_row)
    for piece in pieces:
        if piece.n and not piece.columns.ragged:
            widths = widths or _widths(piece)
            _check_widths(piece, widths)
        yield piece


def read_whole(
    place: str | Path | Source,
    names: Names,
    build: Callable[[str, dict[str, Any], tuple[str, ...]], Built],
    *,
    rows: bool,
) -> Built:
    """Read a table whole and build its record.

    Args:
        place: The file or address.
        names: Names of columns.
        build: Makes the record of kind, arrays by argument and names of classes.
        rows: Whether sentences on columns and rows name the file too: for commands that read several.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, lacks columns, or its values are no predictions or outcomes.
    """
    source = Source.of(place)
    if source.path is not None and not source.path.is_file():
        raise MissingFileError(f"`path` must be an existing file, got {shown(str(place))}.")
    with named(source, "path", rows=rows):
        pieces = list(read_table(source, names, WHOLE))
        _warn_of_left_out(pieces)
        held = [piece for piece in pieces if piece.n] or pieces
        columns = held[0].columns
        arrays = [piece.arrays() for piece in held]
        del pieces, held
        joined = {name: _joined(arrays, name, columns) for name in list(arrays[0])}
        return build(columns.kind, joined, columns.classes)


def _warn_of_left_out(pieces: Sequence[Piece]) -> None:
    """Say which rows are not there, as nobody prints what else a reader did."""
    left_out = {sentence: count for sentence, count in said_by(pieces).items() if "{n}" in sentence}
    for sentence in said_of(left_out):
        warnings.warn(sentence, stacklevel=4)


def _joined(arrays: list[dict[str, Any]], name: str, columns: Columns) -> np.ndarray | bool | None:
    """Join an array of all pieces, and forget the pieces, in the usual layout: row after row."""
    parts = [part.pop(name) for part in arrays]
    if isinstance(parts[0], bool):
        return parts[0]
    if columns.ragged and name == columns.kind:
        return padded(parts, columns.nothing)
    return None if parts[0] is None else np.ascontiguousarray(np.concatenate(parts))


@contextmanager
def named(place: str | Path | Source, argument: str, *, rows: bool = True) -> Iterator[None]:
    """Name the file in what is raised on its content.

    Args:
        place: The file.
        argument: What sentences on the whole file call it.
        rows: Whether sentences on columns and rows name the file too.
    """
    file = shown(str(place))
    try:
        yield
    except FormatError as error:
        raise InvalidValueError(f"`{argument}` {error.rule.replace('{file}', file)}") from error
    except RowError as error:
        if not rows:
            raise
        raise InvalidValueError(ended(f"{error.what} in row {error.row} of {file}{error.remedy}")) from None
    except (InvalidValueError, InvalidTypeError) as error:
        if not rows:
            raise
        raise type(error)(ended(str(error), f" in {file}")) from None


def _widths(piece: Piece) -> dict[str, int]:
    found = {piece.columns.values[0]: piece.values[:1].size}
    return found if piece.features is None else found | {piece.columns.features[0]: piece.features.shape[1]}


def _check_widths(piece: Piece, expected: dict[str, int]) -> None:
    for name, width in _widths(piece).items():
        if width != expected[name]:
            what = f"`{printable(name)}` must have rows of one length, {expected[name]}, got {width}"
            raise RowError(what, piece.first_row, RAGGED if name in piece.columns.values else "")
