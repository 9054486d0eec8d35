# SPDX-License-Identifier: Apache-2.0
"""Writing files so that a reader never sees half of one, under names that stay where they belong."""

import csv
import hashlib
import json
import os
import re
import sys
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adafocal._locks import TEMPORARY, is_at, sweep, try_lock
from adafocal._text import is_hidden, printable, shown
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
    """Name a file to write below a folder, whatever its names are made of.

    Raises:
        ValueError: If the path would lie outside, because a link between leads away.
    """
    *between, last = map(safe_name, names)
    place = Path(folder, *between)
    if not place.resolve().is_relative_to(Path(folder).resolve()):
        raise InvalidValueError(f"{str(place)!r} must lie in {str(folder)!r}, got a link to {str(place.resolve())!r}.")
    return place / f"{last}{suffix}"


def below(folder: str | Path, name: str, *, what: str) -> Path:
    """Follow a name from a file into a folder, of one part or several.

    Raises:
        ValueError: If it leads out of the folder.
    """
    parts = Path(name.replace("\\", "/")).parts if name else ()
    if not parts or ".." in parts or Path(name).is_absolute() or "\0" in name:
        raise InvalidValueError(f"{what} must lie in {str(folder)!r}, got {shown(name)}.")
    return Path(folder) / name


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Lend a temporary path beside ``path`` that takes its name once the block ends without an error.

    What a killed process left of its temporary files in the same folder is removed first.

    Args:
        path: Where the finished file shall stand; missing folders are made.

    Yields:
        A path with the same suffix in the same folder. If the block raises, it is removed and ``path`` stays as it was.

    Raises:
        ValueError: If ``path`` is a folder or a device.
    """
    path = Path(path)
    _check_is_file("path", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    handle, temporary = _temporary(path)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def _temporary(path: Path) -> tuple[int | None, Path]:
    """Make a temporary file that is locked for as long as its handle is open."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
        if sys.platform == "win32":
            os.close(handle)
            return None, Path(name)
        if try_lock(handle) is not False and is_at(handle, name):
            return handle, Path(name)
        os.close(handle)  # it was swept between its making and its lock


def check_output(name: str, path: str | Path | None, *, reads: Iterable[str | Path] = ()) -> None:
    """Refuse, before anything is computed, an output that cannot be written or is read itself.

    Args:
        name: What the argument is called.
        path: The file to write; None is no output.
        reads: Files that the output is made from.

    Raises:
        ValueError: If the path is a folder or a device, its folder cannot be written, or it is one of ``reads``.
    """
    if path is None:
        return
    path = Path(path)
    _check_is_file(name, path)
    for other in map(Path, reads):
        if path.exists() and other.exists() and path.samefile(other):
            raise InvalidValueError(f"`{name}` must not be a file that it is made from, got {str(path)!r}.")
    check_output_folder(name, path.parent, got=path)


def check_output_folder(name: str, folder: str | Path | None, *, got: Path | None = None) -> None:
    """Refuse a folder, which need not exist, that cannot be written; ``got`` is what was given, if a file in it."""
    if folder is None:
        return
    folder = Path(folder)
    place = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise InvalidValueError(
            f"`{name}` must lie in a folder that can be written, got {str(got or folder)!r} in {str(place)!r}."
        )


def _check_is_file(name: str, path: Path) -> None:
    if path.exists() and not path.is_file():
        raise InvalidValueError(
            f"`{name}` must name a file, got {str(path)!r}, which is a {'folder' if path.is_dir() else 'device'}."
        )


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


def read_json(path: str | Path, *, finite: bool = False) -> Any:
    """Read a JSON file, whoever wrote it.

    Args:
        path: The file.
        finite: Whether NaN and infinity, which are no JSON, are refused.

    Raises:
        ValueError: If it is not UTF-8, no JSON, nested too deeply, or an object has a name twice.
        OSError: If it cannot be read.
    """

    def refused(constant: str) -> None:
        raise InvalidValueError(f"{constant} is no number of JSON")

    constants = {"parse_constant": refused} if finite else {}
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        return json.loads(text, object_pairs_hook=_each_once, **constants)  # type: ignore[arg-type]
    except RecursionError as error:
        raise InvalidValueError(f"{shown(str(path))} must be a JSON file, got one nested too deeply.") from error
    except ValueError as error:
        why = printable(str(error), longest=200)
        raise InvalidValueError(f"{shown(str(path))} must be a JSON file, got {why}.") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        raise InvalidValueError("an object with a name twice")
    return named


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
