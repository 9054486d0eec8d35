# SPDX-License-Identifier: Apache-2.0
"""Columns of times: dates and timestamps in ISO 8601, with or without a time zone, and numbers since 1970."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import numpy as np

from adafocal._text import printable, shown
from adafocal.tables.labels import as_coded
from adafocal.tables.numbers import is_number
from adafocal.tables.piece import Coded, Column, RowError

UNITS = {"s": 1_000_000.0, "ms": 1000.0, "us": 1.0, "ns": 0.001}  # microseconds
ISO = re.compile(
    r"\s*(\d{4})-(\d\d?)-(\d\d?)(?:(?:T|\s+)(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?\s*",
    re.ASCII | re.I,
)
EPOCH = datetime(1970, 1, 1)
FIRST, LAST = (int((datetime(year, 1, 1) - EPOCH).total_seconds()) * 1_000_000 for year in (1000, 3000))
FIRST_YEAR, LAST_YEAR = np.datetime64("1000"), np.datetime64("3000")
RULE = "be a date or timestamp, such as 2026-01-31 or 2026-01-31T12:00:00+01:00"


def moments(column: Column, name: str, unit: str | None) -> tuple[np.ndarray, bool | None]:
    """Turn times into microseconds since 1970, UTC; those without a time zone are taken for UTC.

    Args:
        column: Texts in ISO 8601, times of numpy or, with ``unit``, numbers.
        name: Their column.
        unit: What numbers count since 1970: ``s``, ``ms``, ``us`` or ``ns``; None where there are none.

    Returns:
        The microseconds, int64, shape (N,), and whether texts have a time zone; None where that is not said.

    Raises:
        RowError: If one is missing, is no time, or has a time zone where others have none, or there are numbers and no
            unit.
    """
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        _refuse(np.isnat(column), name, "null")
        years = column.astype("datetime64[Y]")  # of any unit without overflow
        micro = np.where(
            (years < FIRST_YEAR) | (years >= LAST_YEAR), LAST, column.astype("datetime64[us]").astype(np.int64)
        )
        return _within(micro, name, lambda row: str(column[row])), None
    if isinstance(column, np.ndarray) and column.dtype.kind in "iuf" and column.ndim == 1:
        _refuse(np.isnan(column), name, "null")
        return _since_1970(column.astype(np.float64), name, unit), None
    coded = column if isinstance(column, Coded) else as_coded(column, name)
    texts = [text for text in coded.values if text is not None and text.strip()]
    if texts and all(map(is_number, texts)):
        numbers = np.array([float(text) if text and is_number(text) else np.nan for text in coded.values])
        _refuse(np.isnan(numbers)[coded.index], name, "null")
        return _since_1970(numbers[coded.index], name, unit), None
    return _of_texts(coded, name)


def _refuse(missing: np.ndarray, name: str, got: str) -> None:
    if missing.any():
        raise RowError(f"`{printable(name)}` must have no missing values, got {got}", int(np.flatnonzero(missing)[0]))


def _since_1970(numbers: np.ndarray, name: str, unit: str | None) -> np.ndarray:
    if not len(numbers):
        return np.empty(0, np.int64)
    if unit is None:
        what = f"`{printable(name)}` must hold dates, timestamps or numbers with a unit, got {numbers[0]:.15g}"
        raise RowError(what, 0, ": write --time-unit s, ms, us or ns for what they count since 1970")
    with np.errstate(invalid="ignore", over="ignore"):
        micro = numbers * UNITS[unit]
    return _within(micro, name, lambda row: f"{numbers[row]:.15g} {unit} since 1970", ": is it another --time-unit?")


def _within(micro: np.ndarray, name: str, got: Callable[[int], str], remedy: str = "") -> np.ndarray:
    """Refuse what no calendar of ours holds, and what is no finite number."""
    outside = ~((micro >= FIRST) & (micro < LAST))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise RowError(f"`{printable(name)}` must lie in the years 1000 to 2999, got {got(row)}", row, remedy)
    return np.round(micro).astype(np.int64)


def _of_texts(coded: Coded, name: str) -> tuple[np.ndarray, bool | None]:
    found = [None if text is None else _parsed(text) for text in coded.values]
    held = np.array([0 if one is None else one[0] for one in found] or [0], dtype=np.int64)
    bad = np.array([one is None for one in found] or [False])[coded.index]
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        text = coded.values[coded.index[row]]
        if text is None or not text.strip():
            _refuse(bad, name, "null" if text is None else shown(text))
        raise RowError(f"`{printable(name)}` must {RULE}, got {shown(text)}", row)
    zoned = np.array([one is not None and one[1] for one in found] or [False])[coded.index]
    if zoned.any() and not zoned.all():
        row = int(np.flatnonzero(zoned != zoned[0])[0])
        text = coded.values[coded.index[row]]
        raise RowError(f"`{printable(name)}` must have a time zone in all rows or in none, got {shown(text)}", row)
    micro = _within(held[coded.index], name, lambda row: shown(coded.values[coded.index[row]]))
    return micro, bool(zoned.all()) if len(zoned) else None


def _parsed(text: str) -> tuple[int, bool] | None:
    """Microseconds since 1970 and whether there is a time zone; None for no time."""
    parts = ISO.fullmatch(text)
    if parts is None:
        return None
    *numbers, fraction, zone = parts.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in numbers)
    try:
        moment = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    micro = (moment - EPOCH) // timedelta(microseconds=1) + int((fraction or "0").ljust(6, "0")[:6])
    if zone is None:
        return micro, False
    if zone.upper() in ("Z", "UTC"):
        return micro, True
    digits = zone[1:].replace(":", "").ljust(4, "0")
    minutes = 60 * int(digits[:2]) + int(digits[2:])
    return micro - (-1 if zone[0] == "-" else 1) * minutes * 60_000_000, True


def written(micro: int, *, dates: bool = False) -> str:
    """Write microseconds since 1970 in ISO 8601, UTC.

    Example:
        >>> written(0), written(0, dates=True)
        ('1970-01-01T00:00:00Z', '1970-01-01')
    """
    moment = datetime.fromtimestamp(0, timezone.utc) + timedelta(microseconds=micro)
    return moment.strftime("%Y-%m-%d" if dates else "%Y-%m-%dT%H:%M:%SZ")
