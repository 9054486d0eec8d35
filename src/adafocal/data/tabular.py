# SPDX-License-Identifier: Apache-2.0
"""Tables of texts, of numbers or of images, in whatever format: from Arrow's columns to inputs, labels and groups."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from adafocal._checks import require
from adafocal._files import below
from adafocal._text import listed, printable, shown
from adafocal.data.features import REMEDY, Features
from adafocal.data.roles import Roles
from adafocal.data.saved import Arrow
from adafocal.errors import InvalidValueError, MissingFileError
from adafocal.tables.arrow import arrow_faults, numbers, words
from adafocal.tables.dialect import COMMA
from adafocal.tables.numbers import is_number
from adafocal.tables.piece import Coded, Column, RowError
from adafocal.tables.raw import raw_batches
from adafocal.tables.read import named
from adafocal.tables.source import Source as File

MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
FILL = "fill them in, or leave these rows out"


@dataclass(frozen=True, eq=False)
class Rows:
    """What was read of a table.

    Attributes:
        inputs: Texts, encoded images or paths of images; or the features.
        labels: One value per row, as it stands there; None for a table without.
        groups: What each row stays together with; None for none.
        splits: The part of each row; None for none.
        class_names: Names that the table keeps of its class indices.
    """

    inputs: Sequence[object]
    labels: np.ndarray | None
    groups: np.ndarray | None = None
    splits: np.ndarray | None = None
    class_names: tuple[str, ...] = ()


def read_rows(files: Sequence[File], roles: Roles) -> Rows:
    """Read the files of one part.

    Args:
        files: In the order of their rows.
        roles: What their columns are for.

    Raises:
        ValueError: If a file is damaged, lacks a column, or a value is missing or of another kind than the others.
    """
    tables = [read_columns(file, roles) for file in files]
    for file, table in zip(files, tables, strict=True):
        for name in dict.fromkeys([*tables[0].column_names, *table.column_names]):
            kinds = [str(one[name].type) if name in one.column_names else "no column" for one in (tables[0], table)]
            if kinds[0] != kinds[1]:
                raise InvalidValueError(
                    f"`{printable(name)}` must have one type, got {' and '.join(kinds)} in {shown(str(file))}."
                )
    pa = require("pyarrow", extra="train")
    joined = tables[0] if len(tables) == 1 else pa.concat_tables([table.replace_schema_metadata() for table in tables])
    folder = Path(files[0].place).parent
    place = shown(str(files[0])) if len(files) == 1 else f"{len(files)} files"
    rows = rows_of(joined, roles, folder, place)
    return rows if roles.label is None else replace(rows, class_names=_class_names(tables[0], roles.label))


def _class_names(table: Arrow, label: str) -> tuple[str, ...]:
    """Read the names that `datasets` keeps of the classes; none where it keeps them otherwise."""
    try:
        names = json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def read_columns(file: File, roles: Roles) -> Arrow:
    """Read the wanted columns of a file whole; that of labels may be missing.

    Raises:
        ValueError: If the file is damaged, empty, or lacks another column.
    """
    pa = require("pyarrow", extra="train")
    with named(file, "data.path"):
        batches = list(raw_batches(file, columns=roles.wanted))
        if not batches:
            raise InvalidValueError("a table must have rows, got none")
        table = pa.Table.from_batches(batches)
        wanted = [name for name in roles.wanted if name in table.column_names]
        check_there(roles, table.column_names)
        table = table.select(wanted)
        with arrow_faults("text"):  # that texts are UTF-8 is not seen before they are used
            table.validate(full=True)
    return table


def check_there(roles: Roles, names: Sequence[str]) -> None:
    """Raise unless all wanted columns are there; that of labels may be missing."""
    missing = [name for name in roles.wanted if name not in names and name != roles.label]
    if missing:
        raise InvalidValueError(f"columns must include {listed(missing)}, got {listed(names)}")


def rows_of(table: Arrow, roles: Roles, folder: Path | None, place: str) -> Rows:
    """Turn the columns of a table into what they are for.

    Args:
        table: Its columns.
        roles: What they are for.
        folder: Where files of images lie that it names; None where it may name none.
        place: Where it is, for sentences.

    Raises:
        ValueError: If a value is missing or of another kind than the others.
    """
    held = table.column_names
    labels = None if roles.label not in held else _values(table[roles.label], str(roles.label), place)
    groups, splits = (
        None if name is None else _values(table[name], name, place).astype(str) for name in (roles.group, roles.split)
    )
    if roles.kind == "numbers":
        return Rows(features_of(table, roles.features, place), labels, groups, splits)
    name = str(roles.inputs)
    values = _values(table[name], name, place).tolist()
    if roles.kind == "images":
        values = [image_of(value, name, folder) for value in values]
    elif other := next((value for value in values if not isinstance(value, str)), None):
        raise InvalidValueError(f"`data.input_column` must hold images or texts, got {type(other).__name__}.")
    return Rows(values, labels, groups, splits)


def features_of(table: Arrow, names: Sequence[str], place: str) -> Features:
    """Read columns of numbers and categories.

    Raises:
        ValueError: If values are missing, or a column holds neither.
    """
    missing: dict[str, np.ndarray] = {}
    columns: dict[str, Column] = {}
    for name in names:
        held = _feature(table[name], name)
        gaps = _gaps(held)
        if gaps.any():
            missing[name] = np.flatnonzero(gaps)
        columns[name] = held
    if missing:
        counts = [f"{len(rows):,} in {printable(name)} (the first in row {rows[0]})" for name, rows in missing.items()]
        raise InvalidValueError(
            f"Columns of features must have no missing values, got {listed(counts)} of {place}: {FILL}, or {REMEDY}."
        )
    return Features(columns)


def _feature(array: Arrow, name: str) -> Column:
    """Read one column; what is missing is NaN, or no word."""
    pa, compute = require("pyarrow", extra="train"), require("pyarrow.compute", extra="train")
    types, kind = pa.types, array.type
    if types.is_dictionary(kind):
        return _feature(array.cast(kind.value_type), name)
    if types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif types.is_nested(kind) and getattr(kind, "value_type", None) == pa.bool_():
        array = array.cast(pa.list_(pa.int8()))
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    if types.is_string(kind) or types.is_large_string(kind):
        coded = words(compute.utf8_trim_whitespace(array), name)
        assert isinstance(coded, Coded)
        return _finite(_of_text(coded), name)
    try:
        if array.null_count and not types.is_nested(kind):
            array = compute.fill_null(array.cast(pa.float64()), float("nan"))
        values = numbers(array, name).astype(np.float64)
    except (RowError, InvalidValueError) as error:
        raise InvalidValueError(f"{str(error).rstrip('.')}: {REMEDY}.") from error
    except (TypeError, pa.ArrowException) as error:
        raise InvalidValueError(
            f"`{printable(name)}` must hold numbers or categories, got type {kind}: {REMEDY}."
        ) from error
    return _finite(values, name)


def _finite(values: Column, name: str) -> Column:
    if isinstance(values, np.ndarray) and np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values).reshape(len(values), -1).any(axis=1))[0])
        raise InvalidValueError(f"`{printable(name)}` must hold finite numbers, got infinity in row {row}: {REMEDY}.")
    return values


def _of_text(column: Coded) -> Column:
    """Take words for numbers where all of them are, but for those that say that there is none."""
    texts = ["" if value is None else value for value in column.values]
    told = [text for text in texts if text.lower() not in MISSING]
    pointed = [text if is_number(text) else text.replace(",", ".") for text in texts]
    commas = all(is_number(text) or COMMA.fullmatch(text) for text in told) and not any("." in text for text in told)
    if told and (commas or all(map(is_number, told))):
        read = [float("nan") if t.lower() in MISSING else float(p) for t, p in zip(texts, pointed, strict=True)]
        values: np.ndarray = np.array(read, dtype=np.float64)[column.index]
        return values
    return Coded(column.index, tuple(text or None for text in texts))


def _gaps(column: Column) -> np.ndarray:
    if isinstance(column, Coded):
        none = np.array([value is None for value in column.values] or [False])
        return np.asarray(none[column.index])
    return np.asarray(np.isnan(column).reshape(len(column), -1).any(axis=1))


def _values(array: Arrow, name: str, place: str) -> np.ndarray:
    """Take one value per row; empty texts are missing ones."""
    pa = require("pyarrow", extra="train")
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    values = np.empty(len(array), dtype=object)
    plain = pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_boolean(array.type)
    if plain and not array.null_count:
        return np.asarray(array.to_numpy())
    values[:] = array.to_pylist()
    for row, value in enumerate(values):
        if value is None or (text and not value.strip()):
            got = "null" if value is None else shown(value)
            raise InvalidValueError(
                f"`{printable(name)}` must have no missing values, got {got} in row {row} of {place}: {FILL}."
            )
    return values


def image_of(value: object, name: str, folder: Path | None) -> object:
    """Take what a table holds itself, or the file that it names in its own folder."""
    if isinstance(value, Mapping):
        if not isinstance(value.get("bytes"), bytes):  # a path in it leads to files of somebody else
            raise InvalidValueError(f"`{printable(name)}` must hold images, got {shown(value)} without their bytes.")
        return value["bytes"]
    if isinstance(value, str) and folder is not None:
        path = below(folder, value, what="Images")
        if not path.is_file():
            raise MissingFileError(
                f"`{printable(name)}` must name files beside the table, got {shown(value)}, which is not in "
                f"{shown(str(folder))}."
            )
        return path
    if not isinstance(value, bytes):
        raise InvalidValueError(f"`{printable(name)}` must hold images, got {shown(value)}.")
    return value
