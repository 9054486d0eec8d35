# SPDX-License-Identifier: Apache-2.0
"""How a text table is written: encoding, separator, decimal sign; found from how it begins."""

import csv
import io
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from adafocal.tables.numbers import is_number
from adafocal.tables.piece import FormatError

SAMPLE = 1 << 20  # bytes that are looked at
SEPARATORS = ",;\t|"
MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
HINT = re.compile(r"sep=([,;\t|])", re.IGNORECASE)  # as Excel writes and reads it
COMMA = re.compile(r"\s*[+-]?\d*,\d+(?:e[+-]?\d+)?\s*", re.IGNORECASE | re.ASCII)
LONGEST_FIELD = 2**31 - 1


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes:
        header: Names of the columns.
        encoding: Of its text, with its mark of order left out: ``utf-8-sig``, ``utf-16`` and the like.
        separator: Between the values of a row.
        decimal: The decimal sign, a point or a comma; see :func:`with_decimal_sign`.
        start: Where its rows begin, in bytes of UTF-8 text without a mark.
        rows: The first rows, as text, where they may have decimal commas.
    """

    header: tuple[str, ...]
    encoding: str
    separator: str
    decimal: str
    start: int
    rows: tuple[tuple[str, ...], ...]


def find_dialect(sample: bytes, *, tabs: bool = False) -> Dialect:
    """Find out how a text table is written.

    Args:
        sample: How its bytes begin.
        tabs: Whether its name says that tabs separate.

    Raises:
        ValueError: If it is no text, or its header ends nowhere.
    """
    encoding = _encoding(sample)
    text = _decoded(sample, encoding)
    whole = len(sample) < SAMPLE
    first = next((line for line in text.splitlines() if line.strip()), "")
    if (hint := HINT.fullmatch(first.strip())) is not None:
        first = hint[1] * 2
    # The sign that is most frequent outside of quotes; of none, a single column.
    outside = re.sub(r'"[^"]*"', "", first)
    separator = "\t" if tabs and hint is None else max(SEPARATORS, key=outside.count)
    try:
        header, start, rows = _begin(text, separator, whole=whole, skip=hint is not None)
    except csv.Error as error:
        raise FormatError.unreadable("CSV", error) from error
    return Dialect(header, encoding, separator, ".", start, rows)


def with_decimal_sign(dialect: Dialect, names: Sequence[str]) -> Dialect:
    """The dialect with a decimal comma where the first rows have it in columns of numbers, and no point."""
    places = [place for place, name in enumerate(dialect.header) if name in set(names)]
    cells = [row[place] for row in dialect.rows for place in places if place < len(row)]
    commas = any("," in cell and COMMA.fullmatch(cell) for cell in cells)
    points = commas and any("." in cell and is_number(cell) for cell in cells)
    return replace(dialect, decimal="," if commas and not points else ".")


def check_no_nul(text: str) -> None:
    """Refuse text with NUL characters, as UTF-16 without a mark has where it is taken for something else.

    Raises:
        ValueError: If there is one.
    """
    if "\0" in text:
        raise FormatError.unreadable("CSV", "it holds NUL characters: save it as UTF-8")


def _begin(
    text: str, separator: str, *, whole: bool, skip: bool
) -> tuple[tuple[str, ...], int, tuple[tuple[str, ...], ...]]:
    """Read the header, where it ends, and the whole rows behind it."""
    stream = io.StringIO(text, newline="")
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        reader = csv.reader(iter(stream.readline, ""), delimiter=separator, strict=True)
        if skip:
            next(row for row in reader if row)
        header: list[str] = next((row for row in reader if row), [])
        start = len(text[: stream.tell()].encode("utf-8"))
        rows: list[tuple[str, ...]] = []
        # The sample may end within quotes; a row that is wrong is found when it is read.
        with suppress(csv.Error):
            # Without other separators or quotes there are no decimal commas to look for.
            if separator != "," or '"' in text:
                rows.extend(tuple(row) for row in reader if row)
    finally:
        csv.field_size_limit(limit)
    return tuple(name.strip() for name in header), start, tuple(rows if whole else rows[:-1])


def _encoding(sample: bytes) -> str:
    for mark, name in MARKS.items():
        if sample.startswith(mark):
            return name
    pairs = sample[:400]
    if len(pairs) >= 4 and b"\0" in pairs:
        even, odd = pairs[::2].count(0), pairs[1::2].count(0)
        if min(even, odd) == 0 and max(even, odd) > len(pairs) // 4:
            return "utf-16-le" if odd else "utf-16-be"
    return "utf-8-sig"


def _decoded(sample: bytes, encoding: str) -> str:
    import codecs

    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample, final=len(sample) < SAMPLE)
    except UnicodeDecodeError as error:
        raise FormatError.not_text(error, encoding) from error
    check_no_nul(text)
    return text
