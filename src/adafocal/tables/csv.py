# SPDX-License-Identifier: Apache-2.0
"""Tables of predictions as CSV: commas, a header, UTF-8, numbers as everyone reads them."""

import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

import numpy as np

from adafocal._text import printable, shown
from adafocal.errors import InvalidValueError
from adafocal.tables.columns import SINGULAR, Columns, Names, find_columns
from adafocal.tables.piece import FormatError, Piece, RowError, group_name, make_piece

# Python also takes digits of other scripts and 0.2_5, which no other reader does.
NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|inf|infinity|nan)\s*", re.ASCII | re.I)
LONGEST_FIELD = 2**31 - 1
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}


class Lines:
    """Lines of a text file, which notes of each row whether its characters need a closer look."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines = lines
        self.odd = False

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        if "_" in line or not line.isascii():
            self.odd = True
        if "\0" in line:
            raise FormatError.unreadable("CSV", "it holds NUL characters, as UTF-16 does: save it as UTF-8")
        return line


def read_csv(file: Path, names: Names, numbers: int) -> Iterator[Piece]:
    """Read a CSV file piece by piece, once; blank lines are no rows.

    Args:
        file: The file.
        names: Names of columns.
        numbers: How many a piece holds, about.

    Raises:
        ValueError: If the file is no such table, or a row is not as the header says.
    """
    with file.open(newline="", encoding="utf-8-sig") as opened:
        lines = Lines(opened)
        rows = csv.reader(lines, strict=True)
        with _faults(file):
            header = [name.strip() for name in next((row for row in rows if row), [])]
        if len(header) == 1 and (found := set(header[0]) & set(";\t|")):
            raise InvalidValueError(f"columns must be separated by commas, got {shown(found.pop())}.")
        columns = find_columns(header, names)
        first_row, size = 0, max(1, numbers // len(columns.numbers))
        while True:
            with _faults(file):
                piece = _piece(file, rows, lines, header, columns, first_row, size)
            if piece.n or first_row == 0:
                yield piece
            first_row += piece.n
            if piece.n < size:
                return


def _piece(
    file: Path,
    rows: Iterator[list[str]],
    lines: Lines,
    header: Sequence[str],
    columns: Columns,
    first_row: int,
    size: int,
) -> Piece:
    """Read up to ``size`` rows."""
    place = {name: index for index, name in enumerate(header)}
    of_row = itemgetter(*(place[name] for name in columns.numbers))
    by = None if columns.by is None else place[columns.by]
    cells, groups, codes, n = array("d"), array("q"), dict[str, int](), 0
    lines.odd = False
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise RowError(f"rows must have {len(header)} values as the header has, got {len(row)}", first_row + n)
        try:
            cells.extend(map(float, of_row(row)))
        except ValueError:
            lines.odd = True
        if lines.odd:
            _check(of_row(row), columns, first_row + n)
            lines.odd = False
        if by is not None:
            groups.append(codes.setdefault(row[by], len(codes)))
        n += 1
        if n == size:
            break
    table = np.frombuffer(cells, dtype=np.float64).reshape(n, len(columns.numbers))
    arrays = dict(zip(columns.numbers, table.T, strict=True))
    arrays = {name: part if name == columns.label else part.astype(np.float32) for name, part in arrays.items()}
    found = None if by is None else (np.frombuffer(groups, dtype=np.int64), tuple(map(group_name, codes)))
    return make_piece(file, columns, first_row, arrays, found)


def _check(cells: Sequence[str], columns: Columns, row: int) -> None:
    for name, cell in zip(columns.numbers, cells, strict=True):
        if NUMBER.fullmatch(cell) is None:
            raise RowError(f"`{printable(name)}` must be a number, got {shown(cell)}", row)


@contextmanager
def _faults(file: Path) -> Iterator[None]:
    """Read fields of any length, and say what is wrong with the text."""
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        yield
    except UnicodeDecodeError as error:
        with file.open("rb") as opened:
            start = opened.read(4)
        known = next((name for mark, name in MARKS.items() if start.startswith(mark)), None)
        why = f"its text is {known}" if known else f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise FormatError.unreadable("CSV", f"{why}: save it as UTF-8") from error
    except csv.Error as error:
        raise FormatError.unreadable("CSV", error) from error
    finally:
        csv.field_size_limit(limit)


def write_csv(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write one column per class and feature; each number in as many digits as tell it from others of its dtype."""
    header: list[str] = []
    for name, values in arrays.items():
        header += ["label"] if values.ndim == 1 else [f"{SINGULAR[name]}_{index}" for index in range(values.shape[1])]
    text = [values.reshape(len(values), -1).astype(str) for values in arrays.values()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(np.concatenate(text, axis=1).tolist())
