# SPDX-License-Identifier: Apache-2.0
"""Text tables by Arrow's reader; where it stumbles or is not installed, row by row."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from adafocal._checks import require
from adafocal._text import listed
from adafocal.errors import InvalidValueError, MissingPackageError
from adafocal.tables.arrow import from_batch, of_text
from adafocal.tables.assemble import make_piece, of_folders
from adafocal.tables.class_names import list_columns
from adafocal.tables.columns import Columns, Names, find_columns
from adafocal.tables.csv_arrow import csv_batches, in_size
from adafocal.tables.csv_rows import rows_one_by_one
from adafocal.tables.dialect import SAMPLE, Dialect, find_dialect, with_decimal_sign
from adafocal.tables.numbers import Digits, is_number
from adafocal.tables.piece import Column, FormatError, Piece, RowError
from adafocal.tables.source import Source, check_begins


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
    if dialect.header and all(is_number(name) for name in dialect.header):
        raise InvalidValueError(f"the first line must name the columns, got {listed(dialect.header)}.")
    keys = source.keys_beside(dialect.header)
    columns = find_columns([*dialect.header, *keys], names)
    dialect = with_decimal_sign(dialect, columns.numbers)
    size = max(1, numbers // len([*columns.numbers, columns.label]))
    first_row, digits = 0, Digits()
    for table, n in _rows(source, dialect, columns, size):
        yield make_piece(source, columns, first_row, table | of_folders(keys, columns, n), names, digits)
        first_row += n
    if first_row == 0:
        empty: dict[str, Column] = {name: np.empty(0, np.float32) for name in columns.wanted}
        yield make_piece(source, columns, 0, empty, names)


def _rows(source: Source, dialect: Dialect, columns: Columns, size: int) -> Iterator[tuple[dict[str, Column], int]]:
    """Read ``size`` rows at a time, each with their number."""
    wanted = [name for name in columns.wanted if name in dialect.header]
    done, stumbled = 0, None
    try:
        require("pyarrow.csv")
        for batch in in_size(csv_batches(source, dialect, columns, wanted), size):
            table = of_text(from_batch(batch, columns), columns)
            # Arrow takes `nan(1)` for a number, and others do not; none of them is allowed.
            if any(isinstance(column, np.ndarray) and bool(np.isnan(column).any()) for column in table.values()):
                break
            yield table, batch.num_rows
            done += batch.num_rows
        else:
            return
    except MissingPackageError:
        pass
    except (FormatError, RowError) as error:
        stumbled = error
    # Arrow does not say where it stumbles as we count rows, and over some numbers that are none of its own.
    for table, n in rows_one_by_one(source, dialect, columns, wanted, size):
        if done > 0:
            done -= n
        else:
            yield table, n
    if done > 0 and stumbled is not None:
        raise stumbled


def write_csv(arrays: dict[str, np.ndarray], path: Path, classes: Sequence[str] = ()) -> None:
    """Write one column per class and feature; each number in as many digits as tell it from others of its dtype.

    Columns are named by the classes where they can be read back by these names.
    """
    header: list[str] = []
    for name, values in arrays.items():
        if values.ndim == 1:
            header.append("label" if name == "labels" else name)
        else:
            header += list_columns(name, values.shape[1], () if name == "features" else classes)
    text = [values.reshape(len(values), -1).astype(str) for values in arrays.values()]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(np.concatenate(text, axis=1).tolist())
