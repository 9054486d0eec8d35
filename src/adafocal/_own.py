# SPDX-License-Identifier: Apache-2.0
"""Code of the user's own, by ``package.module:name`` or by the entry points of installed packages.

Such a name is a promise to run code, so whoever calls this must have it from the user: from the command line, from a
file given by ``--config``, or from settings made in Python. What a run folder says is no such thing.
"""

import importlib
import importlib.metadata
import inspect
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from adafocal._settings import or_meant
from adafocal._text import printable, shown
from adafocal.errors import AdafocalError, InvalidTypeError, InvalidValueError, OwnCodeError, is_out_of_memory

OWN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
OFFERED = re.compile(r"[A-Za-z_][\w.-]*")  # what an entry point may be called: no name of the hub or of own code
GROUPS = {"loss": "adafocal.losses", "model": "adafocal.models", "data.name": "adafocal.datasets"}
SEES = "a module is looked for in the working directory, in PYTHONPATH and among the installed packages"
# Frames in these are never the user's code, whatever was named.
LIBRARIES = ("adafocal", "torch", "lightning", "numpy", "functools", "contextlib")


def is_own(name: object) -> bool:
    """Tell whether a name is one of own code, ``package.module:name``.

    Example:
        >>> is_own("losses:Mine"), is_own("focal"), is_own("owner/set:split")
        (True, False, False)
    """
    return isinstance(name, str) and OWN.fullmatch(name) is not None


@dataclass(frozen=True)
class Offer:
    """What an installed package offers by an entry point, which is not imported before it is used.

    Attributes:
        name: Its name.
        package: The package and its version.
        value: Where it is, ``package.module:name``.
        refused: Why it cannot be used; empty if it can.
    """

    name: str
    package: str
    value: str
    refused: str = ""


def offers(what: str, built_in: Collection[str]) -> list[Offer]:
    """List what installed packages offer, by name.

    Args:
        what: A key of ``GROUPS``.
        built_in: Names that are taken.
    """
    entries = sorted(importlib.metadata.entry_points(group=GROUPS[what]), key=lambda entry: (entry.name, entry.value))
    names = [entry.name for entry in entries]
    found = []
    for entry in entries:
        package = "?" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
        refused = ""
        if entry.name in built_in:
            refused = f"adafocal has one of this name; use it as {entry.value}"
        elif not OFFERED.fullmatch(entry.name) or not OWN.fullmatch(entry.value):
            refused = "its name must be a word, and its place package.module:name"
        elif names.count(entry.name) > 1:
            refused = f"another package offers one of this name; use it as {entry.value}"
        found.append(Offer(entry.name, package, entry.value, refused))
    return found


def find(what: str, name: object, built_in: Collection[str]) -> Callable[..., Any]:
    """Import a class or function of own code.

    Args:
        what: The setting, a key of ``GROUPS``.
        name: ``package.module:name``, or what an installed package offers.
        built_in: The other names that the setting takes.

    Raises:
        ValueError: If there is no such thing, or it is no class or function.
        RuntimeError: If importing it fails in the code that is imported.
    """
    if isinstance(name, str) and is_own(name):
        return _imported(what, name, name)
    found = offers(what, built_in)
    offer = next((one for one in found if one.name == name), None)
    if offer is None:
        known = [*built_in, *(one.name for one in found if not one.refused)]
        code = " or package.module:name of your own" if re.search(r"[.:\\/]", str(name)) else ""
        raise InvalidValueError(
            f"`{what}` must be one of {', '.join(known)}{code}, got {shown(name)}{or_meant(name, known)}"
        )
    if offer.refused:
        raise InvalidValueError(f"`{what}` cannot be {shown(name)} of the package {offer.package}: {offer.refused}.")
    return _imported(what, offer.value, f"{offer.value} ({offer.name} of the package {offer.package})")


def module_of(what: str, name: str, built_in: Collection[str] = ()) -> str:
    """Name the module that a name leads to, without importing it; nothing where it is no own code."""
    value = name if is_own(name) else ""
    if not value and name not in built_in:
        value = next((one.value for one in offers(what, built_in) if one.name == name), "")
    return value.partition(":")[0]


def _imported(what: str, place: str, title: str) -> Callable[..., Any]:
    name, _, attribute = place.partition(":")
    importlib.invalidate_caches()
    with _working_directory_first(), telling(what, title, [name]):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # something that the module imports
            missing = "" if error.name == name else f" (there is no {error.name})"
            raise InvalidValueError(
                f"`{what}` must name a module that can be imported, got {title}: no module {name}{missing} is found; "
                f"{SEES}, here {os.getcwd()!r}."
            ) from error
    if not hasattr(module, attribute):
        names = [one for one in vars(module) if not one.startswith("_") and callable(getattr(module, one))]
        raise InvalidValueError(
            f"`{what}` must name a class or function of the module {name} ({_file_of(module)}), "
            f"got {shown(attribute)}{or_meant(attribute, names)}"
        )
    found = getattr(module, attribute)
    if not (inspect.isclass(found) or inspect.isroutine(found) or type(found).__name__ == "partial"):
        raise InvalidTypeError(
            f"`{what}` must name a class or function, got {title} of type {type(found).__name__} in {_file_of(module)}."
        )
    function: Callable[..., Any] = found
    return function


def _file_of(module: ModuleType) -> str:
    return repr(getattr(module, "__file__", None) or module.__name__)


@contextmanager
def _working_directory_first() -> Iterator[None]:
    """Look in the working directory first, as ``python -m`` does; afterwards last, where it hides nothing of ours."""
    here = os.getcwd()
    if here in {os.path.abspath(place) for place in sys.path}:
        yield
        return
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
        sys.path.append(here)


@contextmanager
def telling(what: str, title: str, modules: Iterable[str]) -> Iterator[None]:
    """Say of an error in the block, where own code is imported or called, in which file and line it was raised.

    Args:
        what: The setting that names the code.
        title: The name of the code.
        modules: Modules of own code.
    """
    try:
        yield
    except AdafocalError:
        raise
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        raise OwnCodeError(f"`{what}` {title} {_raised(error, modules)}") from error


@contextmanager
def telling_where(modules: Iterable[str]) -> Iterator[None]:
    """Say of an error that own code has raised, in the block or below it, in which file and line it was.

    Args:
        modules: Modules of own code; an error of other code stays as it is.
    """
    try:
        yield
    except AdafocalError:
        raise
    except Exception as error:
        modules = [name for name in modules if name]
        if is_out_of_memory(error) or _place_in(error, modules) is None:
            raise
        raise OwnCodeError(f"Your code {_raised(error, modules)}") from error


def _raised(error: BaseException, modules: Iterable[str]) -> str:
    """Say what was raised, and where in own code if it was there."""
    said = printable(" ".join(f"{type(error).__name__}: {error}".split()), longest=500).rstrip(".: ")
    if isinstance(error, SyntaxError) and error.filename:
        return f"raised {said.partition(' (')[0]} ({error.filename}, line {error.lineno})."
    place = _place_in(error, modules)
    where = "" if place is None else f" ({place[0]}, line {place[1]})"
    return f"raised {said}{where}; `adafocal --debug` shows the traceback."


def _place_in(error: BaseException, modules: Iterable[str]) -> tuple[str, int] | None:
    """Find the deepest line of own code in a traceback."""
    own = {name.partition(".")[0] for name in modules} - set(LIBRARIES)
    found, step = None, error.__traceback__
    while step is not None:
        frame = step.tb_frame
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in own:
            found = (frame.f_code.co_filename, step.tb_lineno)
        step = step.tb_next
    return found
