# SPDX-License-Identifier: Apache-2.0
"""Text tables in every dialect: Arrow's reader and the one row by row give the same rows or the same sentence."""

import json
import time
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adafocal._reading import checked
from adafocal.errors import AdafocalError, MissingPackageError
from adafocal.tables.columns import Names
from adafocal.tables.dialect import SAMPLE
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

    def require(module, *, extra=None):
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
    grouped = [piece for piece in pieces if piece.group is not None]
    groups = [piece.group_names[code] for piece in grouped for code in piece.group.tolist()]
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
@example(odd=b"\xef\xbb\xbf", place=27, more=b"")  # a mark of order where the first row begins
def test_both_readers_say_the_same_of_broken_bytes(tmp_path, odd, place, more):
    path = tmp_path / "p.csv"
    text = b"logit_0,logit_1,label,word\n0.5,0.5,1,x\n" + more
    path.write_bytes(text[:place] + odd + text[place:])
    found = rows_of(path, Names(by="word"), 100)
    with without_arrow():
        assert rows_of(path, Names(by="word"), 100) == found


ROUNDED = "prob_0,prob_1,prob_2,label\n" + "0.333,0.333,0.333,0\n" * 20
TWO_DIGITS, FIVE_DIGITS = "0.33,0.33,0.33,0\n", "0.33333,0.33333,0.33334,0\n"


@pytest.mark.parametrize("size", [1, 12, 10_000])
def test_the_digits_of_a_table_do_not_depend_on_its_pieces(size, tmp_path):
    path = tmp_path / "p.csv"
    for text in (ROUNDED[:27] + TWO_DIGITS * 20, ROUNDED, ROUNDED + FIVE_DIGITS):
        path.write_text(text)
        assert rows_of(path, Names(), size)[-1] == 20
    # Two digits explain 0.99, which three do not, wherever they come.
    said = "`probs` must sum to 1 within 0.001 in each row, got [0.33, 0.33, 0.33] in row "
    path.write_text(ROUNDED[:27] + TWO_DIGITS * 3 + ROUNDED[27:])
    assert sentence_of(path, size).startswith(f"{said}0: normalize")
    path.write_text(ROUNDED + TWO_DIGITS)
    assert sentence_of(path, size).startswith(f"{said}20: normalize")


@pytest.mark.parametrize("installed", [True, False])
def test_the_decimal_sign_is_that_of_the_first_rows_of_columns_of_numbers(installed, tmp_path):
    path = tmp_path / "p.csv"
    with without_arrow(not installed):
        path.write_text("prob_0;prob_1;note;label\n" + "1;0;1.5;0\n" * 9 + "0,75;0,25;1,5;1\n")
        assert rows_of(path, Names(), 4)[0][-13:] == "[0.75, 0.25]]"
        path.write_text("prob_0;prob_1;note;label\n" + "0,5;0,5;1;0\n" * 9 + "0.75;0.25;1;1\n")
        assert rows_of(path, Names(), 4) == (
            "`prob_0` must be a number, got '0,5' in row 0: decimal signs must be the same in all rows."
        )
        path.write_text('prob_0,prob_1,note,label\n0.5,0.5,"1,5",0\n')
        assert rows_of(path, Names(), 4)[0] == "[[0.5, 0.5]]"
        long = "word " * 200
        path.write_text("prob_0;prob_1;note;label\n" + f"1;0;{long};0\n" * 1100 + "0,75;0,25;;1\n")
        assert path.stat().st_size > SAMPLE + len(long)
        assert rows_of(path, Names(), 1 << 19) == (
            "`prob_0` must be a number, got '0,75' in row 1100: decimal signs must be the same in all rows."
        )


WIDE = 1000


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_rows_are_numbered_from_the_start_of_the_file_in_every_sentence(suffix, tmp_path):
    path, sound = tmp_path / f"p{suffix}", {"prob_0": 0.5, "prob_1": 0.5, "label": 0}
    for column, odd, says in (
        ("prob_1", "x", "`prob_1` must be a number"),
        ("prob_1", None, "`prob_1` must have no missing values, got null in row 17"),
        ("label", "cat", "`label` must be"),
        ("label", 0.5, "`label` must be an integer class index, got 0.5 in row 17."),
        ("prob_1", 0.25, "`probs` must sum to 1 within 0.001 in each row, got [0.5, 0.25] in row 17"),
    ):
        rows = [dict(sound) for _ in range(20)]
        rows[17][column] = odd
        if suffix == ".csv":
            cells = [["" if cell is None else str(cell) for cell in row.values()] for row in rows]
            path.write_bytes(written([tuple(sound), *cells], ",", "\n", "utf-8", False))
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        for size in (1, 9, 1 << 19):
            sentence = sentence_of(path, size)
            assert sentence.startswith(says)
            assert " in row 17" in sentence


def sentence_of(path, size):
    """What is said of a table that `evaluate` checks piece by piece."""
    with pytest.raises(AdafocalError) as caught:
        list(map(checked, read_table(Source.of(path), Names(), size)))
    return str(caught.value).replace(f" of {str(path)!r}", "")


def test_many_classes_and_many_different_labels_are_answered_at_once(tmp_path):
    path = tmp_path / "p.csv"
    head = ",".join(f"prob_c{place}" for place in range(WIDE)) + ",label\n"
    row = ",".join(["0.001"] * WIDE)
    path.write_text(head + "".join(f"{row},c{place}\n" for place in range(0, WIDE, 10)))
    assert np.concatenate([p.labels for p in read_table(Source.of(path), Names(), 1 << 19)]).tolist() == [
        *range(0, WIDE, 10)
    ]
    path.write_text("prob_a,prob_b,label\n" + "".join(f"0.5,0.5,x{place}\n" for place in range(100_000)))
    start = time.process_time()
    assert rows_of(path, Names(), 1 << 19).startswith("`label` must be one of the classes a, b, got 'x0' in row 0")
    assert time.process_time() - start < 10
