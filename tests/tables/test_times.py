# SPDX-License-Identifier: Apache-2.0
"""Columns of times, in whatever form they come."""

from datetime import datetime, timezone

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from adafocal.errors import InvalidValueError
from adafocal.tables.columns import Names
from adafocal.tables.piece import RowError
from adafocal.tables.read import read_table
from adafocal.tables.times import moments, written

NOON = int(datetime(2026, 1, 31, 12, tzinfo=timezone.utc).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31 12:00", NOON),
        ("2026-01-31T13:00:00+01:00", NOON),
        ("2026-01-31T13:00:00+0100", NOON),
        ("2026-01-31 07:30:00-0430", NOON),
        ("2026-01-31 13:00:00.250000+01", NOON + 250_000),
        ("2026-01-31T12:00:00.123456789", NOON + 123_456),
        ("2026-01-31T12:00:00,5Z", NOON + 500_000),
        ("2026-01-31", NOON - 43_200_000_000),
        ("1969-12-31T23:59:59Z", -1_000_000),
        (" 2026-1-31 12:00:00 UTC ", NOON),
    ],
)
def test_texts_are_read_as_they_are_meant(text, micro):
    found, zoned = moments(np.array([text]), "t", None)

    assert found.tolist() == [micro]
    assert zoned == any(sign in text[10:] for sign in ("Z", "+", "-", "UTC"))


@pytest.mark.parametrize(("number", "unit"), [(1769860800, "s"), (1769860800000, "ms"), (1769860800000000, "us")])
@pytest.mark.parametrize("form", [np.int64, np.float64, str])
def test_numbers_count_in_the_stated_unit(number, unit, form):
    found, _ = moments(np.array([form(number)]), "t", unit)

    assert found.tolist() == [NOON]


def test_times_of_numpy_are_taken_as_they_are():
    found, zoned = moments(np.array(["2026-01-31T12"], dtype="datetime64[ns]"), "t", None)

    assert (found.tolist(), zoned) == ([NOON], None)


@pytest.mark.parametrize(
    ("column", "unit", "sentence"),
    [
        (["2026-01-31", "yesterday"], None, "`t` must be a date or timestamp, .* got 'yesterday' in row 1"),
        (["2026-01-31", "2026-02-30"], None, "got '2026-02-30' in row 1"),
        (["2026-01-31", ""], None, "`t` must have no missing values, got '' in row 1"),
        (["2026-01-31", None], None, "`t` must have no missing values, got null in row 1"),
        (["01/31/2026"], None, "got '01/31/2026' in row 0"),
        (["2026-01-31T12:00", "2026-01-31T12:00Z"], None, "a time zone in all rows or in none, .*Z' in row 1"),
        ([1769860800], None, "got 1769860800 in row 0: write --time-unit s, ms, us or ns"),
        (["1769860800"], None, "got 1769860800 in row 0: write --time-unit"),
        ([1769860800.0, float("nan")], "s", "no missing values, got null in row 1"),
        ([1, 1769860800000], "s", "in the years 1000 to 2999, got 1769860800000 s since 1970 in row 1: is it another"),
        (["2026-01-31", "0001-01-01"], None, "in the years 1000 to 2999, got '0001-01-01' in row 1"),
        (["9999-12-31"], None, "in the years 1000 to 2999, got '9999-12-31' in row 0"),
        ([float("inf")], "s", "in the years 1000 to 2999"),
    ],
)
def test_what_is_no_time_is_named_by_its_row(column, unit, sentence):
    array = np.array(column, dtype=object) if None in column else np.array(column)
    with pytest.raises((RowError, InvalidValueError), match=sentence):
        moments(array, "t", unit)


def write(path, values):
    table = pa.table({"confidence": [0.5] * len(values), "correct": [1] * len(values), "t": values})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(table, path)
    else:
        rows = table.to_pylist()
        sign = "," if path.suffix == ".csv" else "\t"
        lines = [sign.join(rows[0]), *(sign.join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines))


MOMENTS = [datetime(2026, 1, 31, 12), datetime(2026, 2, 1, 12)]


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".csv", ".tsv"])
@pytest.mark.parametrize("kind", ["timestamp[s]", "timestamp[ns]", "zone", "date32", "date64", "dictionary", "string"])
def test_every_type_of_arrow_and_text_gives_the_same_moments(tmp_path, suffix, kind):
    path, day = tmp_path / f"p{suffix}", 86_400_000_000
    values = pa.array(MOMENTS, pa.timestamp("us"))
    wanted = [NOON, NOON + day]
    if kind == "zone":
        values = values.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", "Europe/Berlin"))
    elif kind in ("string", "dictionary"):
        values = pa.array([moment.isoformat() for moment in MOMENTS])
        values = values.dictionary_encode() if kind == "dictionary" else values
    elif kind.startswith("date"):
        values, wanted = values.cast(kind, safe=False), [NOON - day // 2, NOON + day // 2]
    else:
        values = values.cast(kind)
    if kind == "timestamp[ns]" and suffix in (".parquet", ".feather"):
        values = pa.array([one * 1000 + 7 for one in wanted], pa.timestamp("ns"))  # finer than Python's own times
    write(path, values)
    (piece,) = read_table(path, Names(time="t"), 100)

    assert piece.time.tolist() == wanted
    assert piece.n == 2


def test_a_folder_may_be_the_time_and_a_column_both_time_and_group(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("confidence,correct,day\n0.5,1,2026-01-31\n0.5,0,2026-02-01\n")
    (piece,) = read_table(path, Names(time="day", by="day"), 100)

    assert piece.group_names == ("2026-01-31", "2026-02-01")
    assert [written(moment, dates=True) for moment in piece.time.tolist()] == list(piece.group_names)


@pytest.mark.parametrize("unit", ["D", "s", "Y"])
def test_times_of_numpy_beyond_the_calendar_are_named_by_their_row(unit):
    with pytest.raises(RowError, match=r"in the years 1000 to 2999, got 90000.* in row 1"):
        moments(np.array(["2026", "90000"], dtype=f"datetime64[{unit}]"), "t", None)
