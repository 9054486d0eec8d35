# SPDX-License-Identifier: Apache-2.0
"""Writing files so that a reader never sees half of one, under names that stay where they belong."""

import csv
import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adafocal._text import is_hidden, shown
from adafocal.errors import InvalidValueError

LONGEST_NAME = 160  # bytes; file systems end at 255, and suffixes and marks of temporary files come on top
# What has a meaning in a path or for a shell, and our own mark of a name that was changed.
UNSAFE = re.compile(r'[/\\:*?"<>|@`$!;&~\s]')
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)


def safe_name(text: object) -> str:
    """Make one part of a path out of any text, such as a name from a file; harmless names stay as they are.

    Others lose what has a meaning in paths and get a mark of the whole text, so that different names stay different.

    Example:
        >>> safe_name("cross_entropy-s0"), safe_name("x/../../etc")
        ('cross_entropy-s0', 'x_.._.._etc@877ff700')
    """
    name = str(text)
    plain = unicodedata.normalize("NFC", name)
    plain = "".join("_" if is_hidden(sign) or UNSAFE.match(sign) else sign for sign in plain)
    if plain[:1] in ("", ".", "-") or plain.endswith(".") or RESERVED.match(plain):
        plain = f"_{plain.rstrip('.')}"
    cut = plain.encode()[:LONGEST_NAME].decode(errors="ignore")
    if cut == name:
        return name
    return f"{cut}@{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def child(folder: str | Path, *names: object, suffix: str = "") -> Path:
    """Give the path of a file to write below a folder, whatever its names are made of.

    Raises:
        ValueError: If the path would lie outside, because a link between leads away.
    """
    *between, last = map(safe_name, names)
    place = Path(folder, *between)
    if not place.resolve().is_relative_to(Path(folder).resolve()):
        raise InvalidValueError(f"{str(place)!r} must lie in {str(folder)!r}, got a link to {str(place.resolve())!r}.")
    return place / f"{last}{suffix}"


def below(folder: str | Path, name: str, *, what: str) -> Path:
    """Give the path that a name from a file means in a folder, of one part or several.

    Raises:
        ValueError: If it leads out of the folder.
    """
    parts = Path(name.replace("\\", "/")).parts if name else ()
    if not parts or ".." in parts or Path(name).is_absolute() or "\0" in name:
        raise InvalidValueError(f"{what} must lie in {str(folder)!r}, got {shown(name)}.")
    return Path(folder) / name


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its name once the block ends without an error.

    Args:
        path: Where the finished file shall stand; missing folders are made.

    Yields:
        A path with the same suffix in the same folder. If the block raises, it is removed and ``path`` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in one step: whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_rows(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write at least one row, all of equal keys, as CSV in one step."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
