# SPDX-License-Identifier: Apache-2.0
"""JSON lines: one object per row."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adafocal._checks import require
from adafocal._text import printable, shown
from adafocal.tables.arrow import arrow_faults, from_batch, of_text
from adafocal.tables.assemble import make_piece, of_folders
from adafocal.tables.columns import Columns, Names, find_columns
from adafocal.tables.lm_eval import is_sample, read_samples
from adafocal.tables.numbers import Digits
from adafocal.tables.piece import FormatError, Piece, RowError, reason
from adafocal.tables.source import HEAD, Source, check_begins

BLOCK = 1 << 20
KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a text"), "bool": ((bool,), "true or false"), "double": ((int, float), "a number"),
}  # fmt: skip


def read_jsonl(place: Source | Path, names: Names, numbers: int) -> Iterator[Piece]:
    """Read JSON lines piece by piece; columns are the names of the first object.

    Args:
        place: The file.
        names: Names of columns.
        numbers: How many a piece holds, about.

    Raises:
        ValueError: If a line is no object, lacks a column, or holds a value of another kind than the first.
    """
    source = Source.of(place)
    _check_lines(source)
    first_row, digits = 0, Digits()
    columns: Columns | None = None
    for lines in _lines(source, BLOCK):
        if columns is None:
            first = _object(lines[0], 0)
            if is_sample(first):
                yield from read_samples(source, (_object(*line) for line in _numbered(source)), names, numbers)
                return
            keys = source.keys_beside(first)
            columns = find_columns([*first, *keys], names)
            wanted = [name for name in columns.wanted if name in first]
            schema = _schema(first, columns, wanted)
            width = sum(len(first[name]) if isinstance(first[name], list) else 1 for name in wanted)
            size = max(1, numbers // max(1, width))
        for start in range(0, len(lines), size):
            part = lines[start : start + size]
            batch = _batch(part, schema, columns, first_row)
            try:
                table = of_text(from_batch(batch, columns), columns)
            except RowError as error:
                raise error.after(first_row) from None
            table |= of_folders(keys, columns, len(part))
            yield make_piece(source, columns, first_row, table, names, digits)
            first_row += len(part)
    if columns is None:
        raise FormatError.unreadable("JSON lines", "it has no line")


def json_batches(source: Source) -> Iterator[Any]:
    """Read all columns of JSON lines, of the types that the first lines have.

    Raises:
        ValueError: If a line is no object.
    """
    pa = require("pyarrow")
    schema = None
    for lines in _lines(source, BLOCK):
        with arrow_faults("JSON lines"):
            table = _parsed(lines, schema)
            schema = schema or table.schema
            yield from table.select(schema.names).cast(pa.schema(schema)).combine_chunks().to_batches()


def _check_lines(source: Source) -> None:
    """Refuse what is no JSON lines at all, and say what it is."""
    head = source.head(HEAD)
    check_begins(source, head)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FormatError.unreadable("JSON lines", "its text is UTF-16: save it as UTF-8")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        raise FormatError.unreadable("JSON lines", "it is an array: write one object per line")


def _lines(source: Source, block: int) -> Iterator[list[bytes]]:
    """Read the lines of a block at a time; empty ones are no rows."""
    left = b""
    with source.opened() as stream:
        start = True
        while True:
            part = bytes(stream.read(block))
            if start:
                part, start = part.removeprefix(b"\xef\xbb\xbf"), False
            *whole, left = (left + part).split(b"\n")
            if not part and left:
                whole, left = [*whole, left], b""
            lines = [line for line in whole if line.strip()]
            if lines:
                yield lines
            if not part:
                return


def _numbered(source: Source) -> Iterator[tuple[bytes, int]]:
    lines = (line for part in _lines(source, BLOCK) for line in part)
    yield from ((line, row) for row, line in enumerate(lines))


def _object(line: bytes, row: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RowError(
            f"lines must be JSON, got {shown(line[:60].decode('utf-8', 'replace'))} ({reason(error)})", row
        ) from error
    if not isinstance(found, dict):
        raise RowError(f"lines must be JSON objects, got {shown(found)}", row)
    return found


def _schema(first: dict[str, Any], columns: Columns, wanted: list[str]) -> Any:
    """The types of the columns that are read, by the first row."""
    pa = require("pyarrow")
    types = {}
    for name in wanted:
        value = first[name]
        if name in columns.numbers:
            types[name] = pa.list_(pa.float64()) if isinstance(value, list) else pa.float64()
        else:
            # A whole number may be written 1 here and 1.0 there.
            kinds = {bool: pa.bool_(), int: pa.float64(), float: pa.float64()}
            types[name] = kinds.get(type(value), pa.string())
    return pa.schema(types.items())


def _batch(lines: list[bytes], schema: Any, columns: Columns, first_row: int) -> Any:
    pa = require("pyarrow")
    try:
        table = _parsed(lines, schema, unexpected_field_behavior="ignore")
        if table.num_rows != len(lines):
            raise pa.ArrowInvalid("lines must hold one object each")
    except pa.ArrowException:
        # Arrow does not say which line it is, and takes no NaN, which Python writes.
        rows = [_checked(line, schema, columns.numbers, row) for row, line in enumerate(lines, start=first_row)]
        with arrow_faults("JSON lines"):
            return pa.RecordBatch.from_pylist(rows, schema=schema)
    return table.select(schema.names).combine_chunks().to_batches()[0]


def _parsed(lines: list[bytes], schema: Any, **options: str) -> Any:
    """Read lines as one block: Arrow would take the rest of a cut line for a line."""
    reader = require("pyarrow.json")
    size = max(BLOCK, sum(map(len, lines)) + len(lines) + 1)
    return reader.read_json(
        io.BytesIO(b"\n".join(lines)),
        reader.ReadOptions(use_threads=False, block_size=size),
        reader.ParseOptions(explicit_schema=schema, **options),
    )


def _checked(line: bytes, schema: Any, numbers: tuple[str, ...], row: int) -> dict[str, Any]:
    """The wanted values of a line, each of the kind that the first row has."""
    held = _object(line, row)
    for field in schema:
        value: Any = held.get(field.name)
        if value is None and row == 0 and field.name in numbers:
            raise RowError(f"`{printable(field.name)}` must have no missing values, got null", row)
        kinds, wanted = KINDS.get(str(field.type), ((list,), "a list of numbers"))
        good = type(value) in kinds and (
            kinds != (list,) or all(one is None or type(one) in (int, float) for one in value)
        )
        if value is not None and not good:
            first = "" if row == 0 else " as in the first row"
            raise RowError(f"`{printable(field.name)}` must be {wanted}{first}, got {shown(value)}", row)
    return {field.name: held.get(field.name) for field in schema}
