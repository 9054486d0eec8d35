# SPDX-License-Identifier: Apache-2.0
"""Arrays in npz files: each is as large as its header says before it is read, and none runs code."""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy

from adafocal._text import shown
from adafocal.errors import InvalidValueError
from adafocal.tables.assemble import check_lengths, make_piece, of_folders
from adafocal.tables.class_names import CLASSES, named_by, names_of
from adafocal.tables.columns import Names, find_columns
from adafocal.tables.piece import Column, FormatError, Piece, reason
from adafocal.tables.source import HEAD, Source, check_begins

ENCRYPTED = 0x1
READABLE = "a readable npz file"


class Arrays:
    """The arrays of an npz file by name.

    Args:
        archive: The opened file.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.members = [(info.filename.removesuffix(".npy"), info) for info in archive.infolist()]

    @property
    def names(self) -> list[str]:
        """All names, in the order of the file."""
        return [name for name, _ in self.members]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> np.ndarray:
        info = next(info for member, info in self.members if member == name)
        if info.flag_bits & ENCRYPTED:
            raise FormatError.unreadable("npz", f"{shown(name)} is encrypted: write it without a password")
        with self.archive.open(info) as member:
            shape, fortran, dtype = _header(member)
            if dtype.hasobject:
                raise FormatError("must hold plain arrays, got pickled objects in {file}.")
            size = int(np.prod([int(side) for side in shape], dtype=object)) * dtype.itemsize
            held = info.file_size - member.tell()
            if size != held:
                raise FormatError.unreadable("npz", f"{shown(name)} of shape {shape} is {held} bytes long, not {size}")
            data = bytearray(member.read())
        if len(data) != size:
            raise FormatError.unreadable("npz", f"{shown(name)} ends early")
        return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")


def _header(member: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read what the array says of itself: Python's own parser takes it apart, and stumbles in many ways."""
    try:
        version = npy.read_magic(member)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        found: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(member)
    except (ValueError, SyntaxError, TypeError, LookupError, RecursionError, TokenError) as error:
        raise FormatError.unreadable("npz", f"the head of an array is damaged, {reason(error)}") from error
    return found


@contextmanager
def open_npz(file: Any, rule: str = READABLE) -> Iterator[Arrays]:
    """Open an npz file; what is wrong with it is said in one sentence.

    Args:
        file: The file.
        rule: What it must be.

    Raises:
        ValueError: If the file, or an array that is read, is damaged, encrypted or not plain.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            yield Arrays(archive)
    except FormatError as error:
        raise FormatError(error.rule.replace(READABLE, rule)) from error
    except InvalidValueError:
        raise
    except (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, EOFError, ValueError,
        NotImplementedError, OverflowError,
    ) as error:  # fmt: skip
        raise FormatError(FormatError.unreadable("npz", error).rule.replace(READABLE, rule)) from error


def read_npz(place: Source | Path, names: Names, numbers: int) -> Iterator[Piece]:
    """Read an npz file whole, and give it piece by piece.

    Args:
        place: The file.
        names: Names of arrays.
        numbers: How many a piece holds, about.

    Raises:
        ValueError: If the file is damaged, or an array is missing or has another shape than it should.
    """
    source = Source.of(place)
    with source.seekable() as file:
        if isinstance(file, Path):
            with file.open("rb") as opened:
                check_begins(source, opened.read(HEAD))
        with open_npz(file) as arrays:
            keys = source.keys_beside(arrays.names)
            columns = find_columns([*arrays.names, *keys], names)
            if CLASSES in arrays:
                columns = named_by(columns, names_of(arrays[CLASSES]))
            table: dict[str, Column] = {name: arrays[name] for name in columns.wanted if name not in keys}
    check_lengths(table, columns.label)
    n = len(next(iter(table.values())))
    table |= of_folders(keys, columns, n)
    whole = make_piece(source, columns, 0, table, names)
    size = max(1, numbers // max(1, whole.values[:1].size))
    for start in range(0, max(1, n), size):
        yield whole.part(slice(start, start + size))


def write_npz(arrays: dict[str, np.ndarray], path: Path, classes: Sequence[str] = ()) -> None:
    """Write arrays by name; `numpy.savez` takes no array whose name is one of its arguments, such as `file`."""
    if classes and CLASSES not in arrays:
        arrays = {**arrays, CLASSES: np.array(classes, dtype=np.str_)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, np.asanyarray(array), allow_pickle=False)
