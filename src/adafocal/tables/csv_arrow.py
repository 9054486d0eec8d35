# SPDX-License-Identifier: Apache-2.0
"""Text tables by Arrow's reader, in batches."""

import codecs
import io
import time
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from adafocal._checks import require
from adafocal.tables.arrow import arrow_faults
from adafocal.tables.columns import Columns
from adafocal.tables.dialect import SAMPLE, Dialect, check_no_nul, find_dialect
from adafocal.tables.piece import FormatError
from adafocal.tables.source import Source

BLOCK = 1 << 20  # bytes that are read at a time
PAUSE, LONGEST_WAIT = 0.002, 500  # seconds, and how many of them


def csv_batches(source: Source, dialect: Dialect, columns: Columns, wanted: list[str]) -> Iterator[Any]:
    """Read the wanted columns, numbers as such and words as codes."""
    pa = require("pyarrow")
    place = {name: index for index, name in enumerate(dialect.header)}
    types = {place[name]: pa.dictionary(pa.int32(), pa.string()) for name in columns.texts if name in wanted}
    types |= {place[name]: pa.float64() for name in columns.numbers if name in place}
    for batch in _typed(source, dialect, {place[name]: types[place[name]] for name in wanted}):
        yield batch.rename_columns(wanted)


def text_batches(source: Source) -> Iterator[Any]:
    """Read all columns of a text table as they are written.

    Raises:
        ValueError: If it is no text table.
    """
    pa = require("pyarrow")
    dialect = find_dialect(source.head(SAMPLE), tabs=source.format == ".tsv")
    for batch in _typed(source, dialect, dict.fromkeys(range(len(dialect.header)), pa.string())):
        yield batch.rename_columns(list(dialect.header))


def _typed(source: Source, dialect: Dialect, types: dict[int, Any]) -> Iterator[Any]:
    """Read columns by their places, each of its type."""
    with source.opened() as raw:
        text = Utf8(raw, dialect.encoding)
        text.read(dialect.start)
        files = [Marked(text)]  # which Arrow alone shall hold, and no frame of a traceback
        held = weakref.ref(files[0])
        stream = None
        try:
            with arrow_faults("CSV"):
                stream = _opened(files, dialect, types)
            while stream is not None:
                with arrow_faults("CSV"):
                    batch = next(stream, None)
                if batch is None:
                    return
                if batch.num_rows:
                    yield batch
        finally:
            del stream
            _wait_until_gone(held)


def _opened(files: list["Marked"], dialect: Dialect, types: dict[int, Any]) -> Any:
    """Begin to read; None where there are no rows."""
    pa, reader = require("pyarrow"), require("pyarrow.csv")
    numbered = [f"c{index}" for index in range(len(dialect.header))]
    try:
        return reader.open_csv(
            files.pop(),
            reader.ReadOptions(column_names=numbered, use_threads=False, block_size=BLOCK),
            reader.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
            reader.ConvertOptions(
                column_types={numbered[place]: kind for place, kind in types.items()},
                include_columns=[numbered[place] for place in types],
                null_values=[""],
                decimal_point=dialect.decimal,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return None
        raise


def _wait_until_gone(held: weakref.ref[Any]) -> None:
    """Wait for Arrow's threads to let go of a file: one that is left with it when Python ends aborts the process."""
    for _ in range(LONGEST_WAIT):
        if held() is None:
            return
        time.sleep(PAUSE)


class Utf8(io.RawIOBase):
    """Text of any encoding as bytes of UTF-8 without a mark of order; what is no text is said wherever it stands."""

    def __init__(self, raw: Any, encoding: str) -> None:
        self.raw, self.encoding = raw, encoding
        self.decoder = codecs.getincrementaldecoder(encoding)()
        self.left, self.plain = b"", encoding.startswith("utf-8")

    def readable(self) -> bool:
        """It is read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes; all for a negative number."""
        while size < 0 or len(self.left) < size:
            part = bytes(self.raw.read(BLOCK))
            self.left += self._utf8(part)
            if not part:
                break
        size = len(self.left) if size < 0 else size
        found, self.left = self.left[:size], self.left[size:]
        return found

    def _utf8(self, part: bytes) -> bytes:
        if self.plain and part.isascii() and b"\0" not in part and not self.decoder.getstate()[0]:
            return part
        try:
            text = self.decoder.decode(part, final=not part)
        except UnicodeDecodeError as error:
            raise FormatError.not_text(error, self.encoding) from error
        check_no_nul(text)
        return text.encode("utf-8")

    def readinto(self, buffer: Any) -> int:
        """Read as many bytes as fit."""
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


class Marked(io.RawIOBase):
    """Text behind a mark of order: Arrow takes one away, which would else be one of the first row's own."""

    def __init__(self, text: Utf8) -> None:
        self.text, self.mark = text, codecs.BOM_UTF8

    def readable(self) -> bool:
        """It is read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes, the mark first; all for a negative number."""
        mark, self.mark = self.mark, b""
        return mark + self.text.read(size if size < 0 else size - len(mark))


def in_size(batches: Iterable[Any], size: int) -> Iterator[Any]:
    """Cut and join batches to ``size`` rows; the last has fewer."""
    pa = require("pyarrow")
    held: list[Any] = []
    for batch in batches:
        held.append(batch)
        while sum(one.num_rows for one in held) >= size:
            table = pa.Table.from_batches(held)
            yield _one(table.slice(0, size))
            rest = table.slice(size)
            held = rest.to_batches() if rest.num_rows else []
    if held:
        yield _one(pa.Table.from_batches(held))


def _one(table: Any) -> Any:
    return table.unify_dictionaries().combine_chunks().to_batches()[0]
