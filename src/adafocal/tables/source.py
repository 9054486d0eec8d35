# SPDX-License-Identifier: Apache-2.0
"""Where a table lies: a file here, standard input, or an address of a file system elsewhere; and how it is packed."""

import atexit
import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from adafocal._checks import require
from adafocal.errors import InvalidValueError, MissingFileError
from adafocal.tables.piece import FormatError
from adafocal.tables.remote import elsewhere, file_system, list_files

STDIN = "-"
FORMATS = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".npz", ".feather", ".arrow")
LOGS = (".eval", ".json")  # of Inspect
PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
TEXT = (".csv", ".tsv", ".jsonl", ".ndjson")
# How files of other formats begin.
BEGINS = {
    b"PAR1": ".parquet", b"PK\x03\x04": ".npz", b"ARROW1": ".feather", b"\x1f\x8b": ".gz", b"BZh": ".bz2",
    b"(\xb5/\xfd": ".zst", b"\xff\xff\xff\xff": ".arrow", b"\xd0\xcf\x11\xe0": ".xls",
}  # fmt: skip
KINDS = {
    ".parquet": "Parquet", ".npz": "npz or zip", ".feather": "Feather", ".arrow": "Arrow", ".gz": "gzip",
    ".bz2": "bzip2", ".zst": "zstd", ".jsonl": "JSON lines", ".csv": "CSV", ".tsv": "TSV", ".ndjson": "JSON lines",
    ".xls": "Excel", ".xlsx": "Excel", ".eval": "Inspect", ".json": "JSON",
}  # fmt: skip
LOCAL = 30  # bytes of a zip file before the name of its first member
INSPECT = re.compile(rb'{\s*"version":\s*\d+,\s*"status":')
HEAD = 1 << 10  # bytes that tell the format
SHEET = "save the sheet as CSV"
REMEDIES = {
    ".xlsx": SHEET, ".xls": SHEET, ".ods": SHEET, ".json": "write one object per line to *.jsonl",
    ".txt": "name it *.csv or *.tsv", ".npy": "save it with names as *.npz", ".zip": "unpack it", ".xz": "unpack it",
    ".pkl": "save it as Parquet", ".h5": "save it as Parquet", ".pt": "save it as Parquet or npz",
}  # fmt: skip
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
SPLIT = re.compile(rb"^[^\[{].*[,;\t|]")
KEY = re.compile(r"([^=/\\]+)=([^/\\]*)")
NULL_KEY = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Source:
    """A table somewhere.

    Attributes:
        place: A path, an address such as ``s3://bucket/p.parquet``, or ``-``.
        keys: Names and values of the folders ``name=value`` that it lies in; they are columns.
        local: Its copy here, where it came from standard input.
        suffix: Its format, where its name does not tell.
    """

    place: str
    keys: tuple[tuple[str, str | None], ...] = ()
    local: str | None = None
    suffix: str = ""

    @classmethod
    def of(cls, place: "str | Path | Source") -> "Source":
        """The source at a path or address.

        Raises:
            ValueError: If its suffix is that of no table.
        """
        if isinstance(place, Source):
            return place
        if str(place) == STDIN:
            return _standard_input()
        text = str(place)
        if text.lower().startswith("file://"):
            text = unquote(urlsplit(text).path)
        source = cls(text, _keys(text))
        known_suffix(text)
        return source

    @property
    def name(self) -> str:
        """The last part of its place."""
        return PurePosixPath(self.place).name if self.path is None else self.path.name

    @property
    def path(self) -> Path | None:
        """Its path on this machine; None for an address elsewhere."""
        if self.local is not None:
            return Path(self.local)
        return None if is_address(self.place) else Path(self.place)

    def keys_beside(self, names: Iterable[str]) -> dict[str, str | None]:
        """The names and values of its folders that are no columns of the file, whose own names come first."""
        held = set(names)
        return {name: value for name, value in self.keys if name not in held}

    @property
    def format(self) -> str:
        """The suffix of its format."""
        return self.suffix or known_suffix(self.place)

    @property
    def packing(self) -> str | None:
        """How it is compressed; None for not."""
        return PACKED.get(PurePosixPath(self.local or self.place).suffix.lower())

    def __str__(self) -> str:
        return self.place

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Open its bytes, unpacked, for reading from the start to the end."""
        with self._raw(seekable=False) as raw:
            if self.packing is None:
                yield raw
                return
            pa = require("pyarrow")
            with _faults(self.packing), pa.CompressedInputStream(raw, self.packing) as stream:
                yield stream

    @contextmanager
    def seekable(self) -> Iterator[Any]:
        """Open a path, or a file that reads at any place, which formats with an index need."""
        if self.packing is not None:
            with tempfile.TemporaryDirectory(prefix="adafocal") as folder:
                unpacked = Path(folder, "table")
                with self.opened() as stream, unpacked.open("wb") as copy, _faults(self.packing):
                    shutil.copyfileobj(stream, copy, 1 << 20)
                yield unpacked
        elif self.path is not None:
            yield self.path
        else:
            with self._raw(seekable=True) as raw:
                yield raw

    def head(self, size: int) -> bytes:
        """Read how its bytes begin, unpacked."""
        with self.opened() as stream, _faults(self.packing):
            return bytes(stream.read(size))

    @contextmanager
    def _raw(self, *, seekable: bool) -> Iterator[Any]:
        if self.path is not None:
            with self.path.open("rb") as file:
                yield file
            return
        system, path = file_system(self.place)
        with elsewhere(self.place):
            file = system.open_input_file(path) if seekable else system.open_input_stream(path)
        with file:
            yield file


def is_address(place: str | Path) -> bool:
    """Tell whether a text is an address such as ``s3://bucket/name`` rather than a path."""
    return ADDRESS.match(str(place)) is not None


def known_suffix(path: str | Path, *, writes: bool = False) -> str:
    """The suffix of a table, less that of its compression.

    Raises:
        ValueError: If it is another.
    """
    pure = PurePosixPath(str(path).replace("\\", "/"))
    suffix = pure.suffix.lower()
    if suffix in PACKED and not writes:
        suffix = PurePosixPath(pure.stem).suffix.lower()
    allowed = WRITTEN if writes else (*FORMATS, *LOGS)
    if suffix not in allowed:
        packed = "" if writes else f" (also with {', '.join(PACKED)})"
        remedy = "" if writes or suffix not in REMEDIES else f": {REMEDIES[suffix]}"
        raise InvalidValueError(f"`path` must end in {', '.join(allowed)}{packed}, got {str(path)!r}{remedy}.")
    return suffix


WRITTEN = (".parquet", ".npz", ".csv")


def looks_like(head: bytes) -> str | None:
    """The suffix of the format that bytes begin like; None for plain text and for what nobody knows."""
    for start, suffix in BEGINS.items():
        if head.startswith(start):
            if suffix == ".npz" and head[LOCAL:].startswith((b"_journal/", b"samples/", b"header.json")):
                return ".eval"
            excel = suffix == ".npz" and any(part in head for part in (b"[Content_Types].xml", b"_rels/", b"xl/"))
            return ".xlsx" if excel else suffix
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if INSPECT.match(text):
        return ".json"
    return ".jsonl" if text.startswith(b"{") else None


def check_begins(source: Source, head: bytes) -> None:
    """Refuse a file that begins like one of another format.

    Raises:
        ValueError: With the format that it begins like.
    """
    kind = looks_like(head)
    if kind is None and source.format not in (".csv", ".tsv") and _is_text_table(head):
        kind = ".csv"
    alike = ({".feather", ".arrow"}, {".jsonl", ".ndjson"}, {".csv", ".tsv"})
    if kind is None or kind == source.format or any({kind, source.format} <= same for same in alike):
        return
    named = f"{source.format}{kind}" if kind in PACKED else kind
    told = f"{KINDS[source.format]} file, got {{file}}, which begins like a{'n' * (kind[1] == 'x')} {KINDS[kind]} file"
    raise FormatError(f"must be a readable {told}: {REMEDIES.get(kind, f'name it *{named}')}.")


def _is_text_table(head: bytes) -> bool:
    first, _, rest = head.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    return bool(rest) and first.isascii() and first.decode().strip().isprintable() and bool(SPLIT.search(first))


def find_sources(place: str | Path) -> list[Source]:
    """The tables that a path, folder, glob or address names; those of a folder in order of their names.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If a file has another suffix than a table.
    """
    found = _there(str(place))
    if not found:
        raise MissingFileError(f"`FILE` must name existing files ({', '.join((*FORMATS, *LOGS))}), got {str(place)!r}.")
    return found


def _there(place: str) -> list[Source]:
    if place == STDIN:
        return [_standard_input()]
    if place.lower().startswith("file://"):
        place = unquote(urlsplit(place).path)
    if is_address(place):
        return [Source.of(file) for file in list_files(place, _is_table)]
    import glob

    path = Path(place)
    named = [path] if path.exists() else [Path(name) for name in sorted(glob.glob(place, recursive=True))]
    files = [file for one in named for file in (_tables_in(one) if one.is_dir() else [one])]
    return [Source.of(file) for file in files]


def _tables_in(folder: Path) -> list[Path]:
    inside = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in inside if _is_table(path.name)]


def _is_table(name: str) -> bool:
    if name[0] in "._":  # engines put marks such as _SUCCESS and hidden copies beside their data
        return False
    if PurePosixPath(name).suffix.lower() == ".json":  # settings and results lie beside tables; a log is named itself
        return False
    with contextlib.suppress(InvalidValueError):
        known_suffix(name)
        return True
    return False


def _keys(place: str) -> tuple[tuple[str, str | None], ...]:
    """Read the folders ``name=value`` of a path."""
    folders = re.split(r"[/\\]", place)[:-1]
    pairs = [found.groups() for folder in folders if (found := KEY.fullmatch(folder)) is not None]
    return tuple({unquote(name): None if value == NULL_KEY else unquote(value) for name, value in pairs}.items())


def _standard_input() -> Source:
    """Copy standard input to a file, which is read as often as needed and goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="adafocal")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = Path(folder, "table")
    with copy.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    with copy.open("rb") as file:
        kind = looks_like(file.read(HEAD))
    if kind in PACKED:
        copy = copy.rename(copy.with_name(f"table{kind}"))
        kind = looks_like(Source(STDIN, local=str(copy), suffix=".csv").head(HEAD))
    return Source(STDIN, local=str(copy), suffix=kind or ".csv")


@contextmanager
def _faults(packing: str | None) -> Iterator[None]:
    try:
        yield
    except (InvalidValueError, MemoryError):
        raise
    except (OSError, EOFError, ValueError) as error:
        if packing is None or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise FormatError.unreadable(packing, error) from error
