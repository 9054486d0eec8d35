# SPDX-License-Identifier: Apache-2.0
"""Reads the YAML, JSON and CSV files of run and study folders as records, and says in one sentence what is wrong.

A record is a frozen dataclass, and its annotations say what a file must hold, as far as a reader relies on it: what has
a default may be missing, other names are free, and ``object`` is anything. ``Unsure`` is a number that may be null,
which is read as NaN; ``Some`` is a list of at least one; ``Whole`` is the mapping itself, as it was read. A mapping
marked with dotted names holds such a number at each.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from math import isnan, nan
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from adafocal._text import shown
from adafocal.errors import InvalidValueError, MissingFileError

Record = TypeVar("Record")
Item = TypeVar("Item")
NULL, SOME, WHOLE = "null", "some", "whole"
Unsure: TypeAlias = Annotated[float, NULL]
Some: TypeAlias = Annotated[tuple[Item, ...], SOME]
Whole: TypeAlias = Annotated[Mapping[str, object], WHOLE]


class _MisfitError(Exception):
    """Says where a value is not of its type."""


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a JSON or YAML file that holds a mapping.

    Args:
        path: The file; its suffix says which.
        kind: A dataclass, what it must hold.

    Returns:
        The record.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or what it holds does not fit.
    """
    try:
        held = _parse(path, path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise MissingFileError(f"{str(path)!r} must be there, got no such file.") from None
    except (ValueError, RecursionError) as error:
        form = "JSON" if path.suffix == ".json" else "YAML"
        reason = "nesting without end" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise InvalidValueError(f"{str(path)!r} must be a whole {form} file, got one with {reason}.") from error
    return as_record(held, kind, f"{str(path)!r} must be a file that adafocal wrote, got one")


def as_record(value: object, kind: type[Record], rule: str) -> Record:
    """Turn plain values into a record.

    Raises:
        ValueError: If they do not fit; the sentence begins with ``rule``.
    """
    try:
        record: Record = _fitted(value, kind, "")
    except _MisfitError as wrong:
        raise InvalidValueError(f"{rule} {wrong}.") from None
    return record


def to_plain(value: object) -> Any:
    """Turn a record into what JSON holds: fields by name, lists, and null for NaN."""
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: to_plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(one) for one in value]
    return None if isinstance(value, float) and isnan(value) else value


def read_columns(path: Path) -> list[dict[str, float]]:
    """Read a CSV file of numbers: one mapping per row from column to number, NaN where there is none."""
    return [{name: _float(value) for name, value in row.items()} for row in _read_rows(path)]


def read_named_columns(path: Path) -> dict[str, dict[str, float]]:
    """Read a CSV file whose first column names the rows: by name what :func:`read_columns` gives of the others."""
    named = ([*row.items()] for row in _read_rows(path))
    return {first[1]: {name: _float(value) for name, value in others} for first, *others in named}


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
    except FileNotFoundError:
        raise MissingFileError(f"{str(path)!r} must be there, got no such file.") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidValueError(f"{str(path)!r} must be a whole CSV file of a run, got one with {error}.") from error
    for place, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise InvalidValueError(
                f"{str(path)!r} must be a whole CSV file of a run, got {len(row)} fields for {len(header)} columns in "
                f"row {place}."
            )
    return [dict(zip(header, row, strict=True)) for row in rows]


def _fitted(value: Any, hint: Any, name: str) -> Any:
    """Fit a value to its type."""
    marks, hint = (hint.__metadata__, hint.__origin__) if get_origin(hint) is Annotated else ((), hint)
    origin, of = get_origin(hint), get_args(hint)
    if value is None and (NULL in marks or type(None) in of):
        return nan if NULL in marks else None
    if origin in (Union, UnionType):
        return _fitted(value, of[0], name)
    if is_dataclass(hint):
        return _fields(_expected(value, dict, name), hint, name)
    if origin is tuple:
        if SOME in marks and _expected(value, list, name) == []:
            raise _MisfitError(f"with nothing as `{name}`")
        return tuple(_fitted(one, of[0], f"{name}[{i}]") for i, one in enumerate(_expected(value, list, name)))
    if origin is Mapping:
        for place in sorted(name for mark in marks if isinstance(mark, frozenset) for name in mark):
            _number(_expected(value, dict, name), place, name)
        return {key: _fitted(one, of[1], f"{name}.{key}") for key, one in _expected(value, dict, name).items()}
    return value if hint is object else _expected(value, (int, float) if hint is float else hint, name)


def _number(value: Any, place: str, name: str) -> float:
    """Find the number at a dotted name."""
    first, _, rest = place.partition(".")
    inner = f"{name}.{first}".lstrip(".")
    if first not in _expected(value, dict, name):
        raise _MisfitError(f"without `{inner}`")
    return _number(value[first], rest, inner) if rest else _fitted(value[first], Unsure, inner)


def _fields(value: dict[str, Any], kind: Any, name: str) -> Any:
    known = {field: (f"{name}.{field.name}".lstrip("."), _hints(kind)[field.name]) for field in fields(kind)}
    whole = {field.name: value for field, (_, hint) in known.items() if WHOLE in getattr(hint, "__metadata__", ())}
    for field, (place, _) in known.items():
        needed = field.default is MISSING and field.default_factory is MISSING and field.name not in whole
        if needed and field.name not in value:
            raise _MisfitError(f"without `{place}`")
    given = {field.name: one for field, one in known.items() if field.name in value and field.name not in whole}
    return kind(**{key: _fitted(value[key], hint, place) for key, (place, hint) in given.items()} | whole)


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _expected(value: Any, types: type | tuple[type, ...], name: str) -> Any:
    if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
        raise _MisfitError(
            f"with {f'{shown(value):.40} as `{name}`' if name else f'{type(value).__name__} in place of names'}"
        )
    return value


def number_at(value: Mapping[str, object], place: str) -> float:
    """Look up the number at a dotted name of a mapping that was checked; NaN for null."""
    return _number(value, place, "")


def _parse(path: Path, text: str) -> object:
    if path.suffix == ".json":
        return json.loads(text)

    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidValueError(f"{error}") from error


def _float(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return nan
