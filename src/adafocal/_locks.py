# SPDX-License-Identifier: Apache-2.0
"""Locks that end with their process, however it ends: on a folder, and on files that are still being written."""

import errno
import os
import re
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adafocal.errors import InvalidValueError

LOCK = ".adafocal.lock"
TEMPORARY = ".adafocal-tmp-"
# The eight characters are tempfile's.
_OURS = re.compile(rf"{re.escape(LOCK)}|{re.escape(TEMPORARY)}[a-z0-9_]{{8}}(\.\w+)?", re.ASCII)

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 1 << 30, os.SEEK_SET)  # past the end, so that the file can be read
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def try_lock(handle: int) -> bool | None:
    """Lock an open file until it is closed or the process ends; None where the file system has no locks."""
    try:
        _lock(handle)
    except OSError as error:
        return False if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK) else None
    return True


def is_at(handle: int, path: str | Path) -> bool:
    """Whether an open file still has its name."""
    try:
        there, here = os.stat(path, follow_symlinks=False), os.fstat(handle)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def is_ours(name: str) -> bool:
    """Whether a file of this name is a lock or a temporary file of ours."""
    return _OURS.fullmatch(name) is not None


def sweep(folder: str | Path) -> None:
    """Remove the locks and temporary files that killed processes left in a folder; those of live ones are locked."""
    if sys.platform == "win32":
        return  # an open file cannot be renamed there, so temporary files are not locked
    try:
        stale = [entry.path for entry in os.scandir(folder) if is_ours(entry.name) and not entry.is_symlink()]
    except OSError:
        return  # nothing there, or not ours to look at
    for path in stale:
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if try_lock(handle) and is_at(handle, path):
                    os.unlink(path)
            finally:
                os.close(handle)


@contextmanager
def working_on(folder: Path, name: str, *, inside: Iterable[str] = ()) -> Iterator[None]:
    """Keep a folder to this process while the block runs, and remove what killed ones left of their temporary files.

    Args:
        folder: The folder, which is made. What the block leaves empty of it is removed again.
        name: What the argument is called.
        inside: Folders in it that may hold temporary files too.

    Raises:
        ValueError: If another process works on the folder.
        OSError: If the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InvalidValueError(f"`{name}` must be a folder, got the file {str(folder)!r}.")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _take(folder, name)
        try:
            for place in (folder, *(folder / part for part in inside)):
                sweep(place)
            yield
        finally:
            with suppress(OSError):
                os.unlink(folder / LOCK)
            os.close(handle)
    finally:
        for place in made:
            with suppress(OSError):  # it holds something now
                place.rmdir()


def _take(folder: Path, name: str) -> int:
    path, tries = folder / LOCK, 0
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        free = try_lock(handle)
        if free is not False and is_at(handle, path):
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
            return handle
        holder = os.read(handle, 300).decode(errors="replace")
        os.close(handle)
        tries += free is False
        if tries > 3:
            raise InvalidValueError(
                f"`{name}` must be a folder that no other process works on, got {str(folder)!r}, which is taken by "
                f"{holder if holder.isprintable() and holder else 'another process'}: wait for it, or choose another."
            )
        time.sleep(0.02)  # another process may be sweeping what a killed one left
