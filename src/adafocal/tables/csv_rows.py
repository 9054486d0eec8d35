# SPDX-License-Identifier: Apache-2.0
"""Text tables row by row: without Arrow, and to name the row over which it stumbles."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np

from adafocal._text import printable, shown
from adafocal.tables.columns import Columns
from adafocal.tables.csv_arrow import Utf8
from adafocal.tables.dialect import LONGEST_FIELD, Dialect
from adafocal.tables.numbers import is_number
from adafocal.tables.piece import Coded, Column, FormatError, RowError
from adafocal.tables.source import Source


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
        content = Utf8(raw, dialect.encoding)
        content.read(dialect.start)
        text = io.TextIOWrapper(io.BufferedReader(content), encoding="utf-8", newline="")
        rows = (row for row in csv.reader(text, delimiter=dialect.separator, strict=True) if row)
        while True:
            with _csv_faults():
                part = list(islice(rows, size))
            if not part:
                return
            for row, values in enumerate(part, start=first_row):
                _check_row(values, row, dialect, columns, place)
            cells = list(zip(*part, strict=True))
            held: dict[str, Column] = {name: _coded(cells[place[name]]) for name in columns.texts if name in place}
            held |= {name: _numbers(cells[place[name]], dialect) for name in columns.numbers if name in place}
            yield held, len(part)
            first_row += len(part)


def _check_row(values: list[str], row: int, dialect: Dialect, columns: Columns, place: dict[str, int]) -> None:
    if len(values) != len(dialect.header):
        raise RowError(f"rows must have {len(dialect.header)} values as the header has, got {len(values)}", row)
    for name in (name for name in columns.numbers if name in place):
        cell = values[place[name]]
        if not cell.strip():
            missing = "null" if not cell else shown(cell)
            raise RowError(f"`{printable(name)}` must have no missing values, got {missing}", row)
        if not is_number(_pointed(cell, dialect)):
            sign = "," if dialect.decimal == "." else "."
            other = sign in cell and is_number(cell.replace(sign, "." if sign == "," else ""))
            remedy = ": decimal signs must be the same in all rows" if other else ""
            remedy = ": write percent as shares, 0.39 for 39 %" if cell.strip().endswith("%") else remedy
            raise RowError(f"`{printable(name)}` must be a number, got {shown(cell)}", row, remedy)


def _pointed(cell: str, dialect: Dialect) -> str:
    """A number with a decimal point; one that has a point where a comma belongs is none."""
    return cell if dialect.decimal == "." else cell.replace(".", "?").replace(",", ".")


def _numbers(cells: tuple[str, ...], dialect: Dialect) -> np.ndarray:
    return np.array([float(_pointed(cell, dialect)) for cell in cells], dtype=np.float64).astype(np.float32)


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
    except csv.Error as error:
        raise FormatError.unreadable("CSV", error) from error
    finally:
        csv.field_size_limit(limit)
