# SPDX-License-Identifier: Apache-2.0
"""Text tables in every dialect: Arrow's reader and the one row by row give the same rows or the same sentence."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adafocal.errors import AdafocalError, MissingPackageError
from adafocal.tables.columns import Names
from adafocal.tables.read import read_table
from adafocal.tables.source import Source

NUMBERS = [
    "0.5", "0,5", "1", "0", ".5", "5e-1", "1.", " 0.25 ", "+0.5", "inf", "-inf", "nan", "nan(1)", "NaN", "NA", "", " ",
    "0.5.0", "1,000", "1.000,5", "0x1", "1e", "1_0", "39 %", "½", "true", "1e400", "-0", "0.30000000000000004", "'1'",
]  # fmt: skip
WORDS = [
    "a",
    "",
    "b c",
    'say "x"',
    "x;y",
    "x,y",
    "x\ty",
    "two\nlines",
    "\r\n",
    "ü",
    "1",
    "1.0",
    "null",
    "NULL",
    "a'b",
    "|",
]
LABELS = ["0", "1", "1.0", " 1", "True", "no", "", "2", "cat", "1e0", "01", "-1", "9" * 30]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@contextmanager
def without_arrow(really=True):
    """Let text tables be read as where pyarrow is not installed."""

    def require(module, *, extra):
        raise MissingPackageError(module)

    with pytest.MonkeyPatch.context() as patch:
        if really:
            patch.setattr("adafocal.tables.csv.require", require)
        yield


def rows_of(path, names, size):
    """What a table says, whatever its pieces: values, labels and groups, or the sentence."""
    try:
        pieces = list(read_table(Source.of(path), names, size))
    except AdafocalError as error:
        return str(error)
    starts = [piece.first_row for piece in pieces]
    assert starts == [sum(piece.n for piece in pieces[:place]) for place in range(len(pieces))]
    values = np.concatenate([piece.values for piece in pieces])
    assert values.dtype == np.float32
    labels = np.concatenate([piece.labels for piece in pieces]).tolist()
    groups = [piece.group_names[code] for piece in pieces for code in piece.group.tolist()]
    return str(values.tolist()), labels, groups, sum(piece.rounded for piece in pieces)


def quoted(cell, separator, always):
    if always or any(sign in cell for sign in (separator, '"', "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def written(rows, separator, end, encoding, always):
    """Text of a table, quoted where it must be."""
    lines = [separator.join(quoted(cell, separator, always) for cell in row) for row in rows]
    return (end.join(lines) + end).encode(encoding)


TABLES = st.tuples(
    st.lists(st.tuples(*map(st.sampled_from, (NUMBERS, NUMBERS, LABELS, WORDS))), max_size=6),
    st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(ENCODINGS), st.booleans(),
)  # fmt: skip
SOUND = st.tuples(
    st.lists(st.tuples(*map(st.sampled_from, (NUMBERS[:6], NUMBERS[:6], LABELS[:4], WORDS))), max_size=9),
    st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(ENCODINGS), st.booleans(),
)  # fmt: skip
OFTEN = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@OFTEN
@given(st.one_of(TABLES, SOUND), st.sampled_from([1, 8, 1000]))
def test_both_readers_give_the_same_rows_or_the_same_sentence(tmp_path, table, size):
    rows, *how = table
    path = tmp_path / "p.csv"
    path.write_bytes(written([("logit_0", "logit_1", "label", "word"), *rows], *how))
    names = Names(by="word")
    found = rows_of(path, names, size)
    with without_arrow():
        assert rows_of(path, names, size) == found
    assert rows_of(path, names, 3) == found or (isinstance(found, str) and isinstance(rows_of(path, names, 3), str))


@OFTEN
@given(st.binary(max_size=60), st.integers(0, 40), st.sampled_from([b"", b"0.5,0.5,1,x\n" * 4]))
def test_both_readers_say_the_same_of_broken_bytes(tmp_path, odd, place, more):
    path = tmp_path / "p.csv"
    text = b"logit_0,logit_1,label,word\n0.5,0.5,1,x\n" + more
    path.write_bytes(text[:place] + odd + text[place:])
    found = rows_of(path, Names(by="word"), 100)
    with without_arrow():
        assert rows_of(path, Names(by="word"), 100) == found
