# SPDX-License-Identifier: Apache-2.0
"""What a caller can mend.

Everything that adafocal raises on purpose is an :class:`AdafocalError` whose text is one sentence: name, rule, value,
remedy. Each is also the built-in error of its kind, so ``except ValueError`` works as everywhere::

    AdafocalError
      InvalidValueError     ValueError            a value, shape or file content breaks a rule
      InvalidTypeError      TypeError             an argument is of the wrong type
      FileError             OSError               a file cannot be read or written
        MissingFileError    FileNotFoundError     a file that was named is not there
      LostProcessError      ConnectionError       another process of the same work is gone
      MissingPackageError   ModuleNotFoundError   an extra is not installed
      OwnCodeError          RuntimeError          code of the caller's own has raised something

Any other error is a fault of ours: the command prints it as such, and shows the traceback with ``--debug``.
"""

from adafocal._text import printable

__all__ = [
    "AdafocalError",
    "FileError",
    "InvalidTypeError",
    "InvalidValueError",
    "LostProcessError",
    "MissingFileError",
    "MissingPackageError",
    "OwnCodeError",
]
# What running out of memory says where it is no MemoryError.
OUT_OF_MEMORY = ("not enough memory", "annot allocate memory", "can't allocate memory", "out of memory", "new thread")


class AdafocalError(Exception):
    """What adafocal raises on purpose; its text says what to mend, and nothing in it steers a terminal."""

    def __str__(self) -> str:
        return printable(super().__str__(), keep="\n")


class InvalidValueError(AdafocalError, ValueError):
    """A value, a shape or the content of a file breaks the rule that the text names."""


class InvalidTypeError(AdafocalError, TypeError):
    """An argument is of another type than the text asks for."""


class FileError(AdafocalError, OSError):
    """A file cannot be read or written."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that was named is not there."""


class LostProcessError(AdafocalError, ConnectionError):
    """Another process that does part of the work is gone."""


class MissingPackageError(AdafocalError, ModuleNotFoundError):
    """A package of an extra is not installed; the text is the command that installs it."""


class OwnCodeError(AdafocalError, RuntimeError):
    """Code of the caller's own, named by ``package.module:name``, has raised something; the text says where."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory did not suffice."""
    return isinstance(error, MemoryError) or (
        isinstance(error, (RuntimeError, ImportError)) and any(sign in str(error) for sign in OUT_OF_MEMORY)
    )
