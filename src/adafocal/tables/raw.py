# SPDX-License-Identifier: Apache-2.0
"""Tables as they are, whatever they hold: every column in batches of Arrow, text as it is written."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from adafocal._checks import require
from adafocal._text import listed
from adafocal.errors import InvalidValueError
from adafocal.tables.arrow import arrow_faults
from adafocal.tables.csv_arrow import text_batches
from adafocal.tables.feather import open_feather
from adafocal.tables.jsonl import json_batches
from adafocal.tables.npz import open_npz
from adafocal.tables.parquet import open_parquet
from adafocal.tables.source import LOGS, Source

ROWS = 1 << 16


def raw_batches(
    source: Source, *, rows: int = ROWS, columns: Sequence[str] | None = None, aside: Sequence[str] = ()
) -> Iterator[Any]:
    """Read every column in batches of about so many rows; of a format with types as such, else as text.

    Args:
        source: The table.
        rows: Of a batch, where the format has batches of any size.
        columns: The only ones that are wanted, where a format can leave out others unread; None for all.
        aside: Arrays of an npz file that do not speak of rows.

    Raises:
        ValueError: If the file is damaged or no such table.
    """
    pa = require("pyarrow", extra="report")
    if source.format in LOGS:
        raise InvalidValueError("a table must have columns, got an evaluation log")
    if source.format in (".csv", ".tsv"):
        yield from text_batches(source)
    elif source.format in (".jsonl", ".ndjson"):
        yield from json_batches(source)
    elif source.format == ".npz":
        with source.seekable() as file, open_npz(file) as arrays:
            wanted = set(arrays.names if columns is None else columns).difference(aside)
            names = [name for name in arrays.names if name in wanted]
            held = {name: arrays[name] for name in names}
            lengths = {name: len(array) if array.ndim else None for name, array in held.items()}
            if len(set(lengths.values())) > 1 or None in lengths.values():
                said = listed(f"{name} of {'no rows' if n is None else n}" for name, n in lengths.items())
                raise InvalidValueError(f"arrays must have a row per sample, got {said}")
            yield pa.RecordBatch.from_arrays([as_arrow(array) for array in held.values()], names=names)
    elif source.format == ".parquet":
        with open_parquet(source) as table, arrow_faults("Parquet"):
            there = None if columns is None else [name for name in columns if name in table.schema_arrow.names]
            yield from table.iter_batches(batch_size=rows, columns=there)
    else:
        with open_feather(source) as (_, batches), arrow_faults("Feather"):
            yield from batches


def as_arrow(array: np.ndarray) -> Any:
    """Turn an array into a column; what a row holds beyond one number becomes a list."""
    pa = require("pyarrow", extra="report")
    if array.ndim == 1:
        return pa.array(array)
    return pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array[0].size if len(array) else 1)
