# SPDX-License-Identifier: Apache-2.0
"""File systems elsewhere, by their addresses: those that Arrow reads by itself, and all that fsspec knows."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from adafocal._checks import require
from adafocal._text import shown
from adafocal.errors import AdafocalError, FileError, MissingFileError
from adafocal.tables.piece import reason

# Arrow reads these by itself; it knows gs://, too, but hangs for a quarter of an hour where it gets no answer.
NATIVE = ("s3", "hdfs", "abfs", "abfss")


@lru_cache(maxsize=64)
def file_system(place: str) -> tuple[Any, str]:
    """The file system of an address, and the path on it."""
    fs = require("pyarrow.fs")
    scheme = place.partition("://")[0].lower()
    with elsewhere(place):
        if scheme in NATIVE:
            system, path = fs.FileSystem.from_uri(_escaped(place))
            return system, str(path)
        fsspec = require("fsspec")
        system, path = fsspec.core.url_to_fs(place)
        return fs.PyFileSystem(fs.FSSpecHandler(system)), str(path)


def list_files(place: str, is_table: Callable[[str], bool]) -> list[str]:
    """List what an address names: a file, the tables of a folder, or those that a pattern fits.

    Args:
        place: The address.
        is_table: Tells by its name whether a file of a folder is a table.

    Returns:
        Their addresses, in the order of their names.

    Raises:
        FileNotFoundError: If there is no such place.
        OSError: If its file system says no.
    """
    scheme, _, rest = place.partition("://")
    first = re.search(r"[*?\[]", rest)
    # In an address without such signs of a pattern, `?` begins the settings of the file system.
    query = "?" + rest.partition("?")[2] if first is not None and "=" in rest.partition("?")[2] else ""
    rest = rest.removesuffix(query)
    first = re.search(r"[*?\[]", rest)
    base = rest if first is None else rest[: rest.rfind("/", 0, first.start()) + 1].rstrip("/")
    fs = require("pyarrow.fs")
    system, path = file_system(f"{scheme}://{base}{query}")
    with elsewhere(place):
        info = system.get_file_info(path)
        if info.type == fs.FileType.File:
            return [place]
        inside = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    files = sorted(one.path for one in inside if one.type == fs.FileType.File)
    below = [file[len(path) :].lstrip("/") for file in (f if f.startswith(path) else f"/{f}" for f in files)]
    if first is None:
        chosen = [file for file in below if is_table(PurePosixPath(file).name)]
    else:
        fits = re.compile(_pattern(rest[len(base) :].lstrip("/")))
        chosen = [file for file in below if fits.fullmatch(file)]
    return [f"{scheme}://{base.rstrip('/')}/{file}{query}" for file in chosen]


def _escaped(place: str) -> str:
    """An address as Arrow parses it: names of files elsewhere are written as they are, with spaces and signs."""
    scheme, _, rest = place.partition("://")
    rest, mark, settings = rest.partition("?")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}{slash}{quote(path)}{mark}{settings}"


def _pattern(glob: str) -> str:
    """The regular expression of a glob: `*` and `?` stay in a folder, `**` does not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", glob)
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        signs.get(part, part.replace("[!", "[^") if part.startswith("[") else re.escape(part)) for part in parts
    )


@contextmanager
def elsewhere(place: str) -> Iterator[None]:
    """Say what another file system says of an address."""
    try:
        yield
    except FileNotFoundError:
        raise MissingFileError(f"`FILE` must name existing files, got {place!r}.") from None
    except (AdafocalError, MemoryError):
        raise
    except Exception as error:  # each file system raises errors of its own libraries
        raise FileError(f"{shown(place)} cannot be read: {reason(error)}.") from error
