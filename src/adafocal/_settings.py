# SPDX-License-Identifier: Apache-2.0
"""Checks of plain settings, which need no torch: numbers, flags, names out of a list, and packages of extras."""

import importlib
import importlib.util
import math
import re
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any, TypeVar

from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError, MissingPackageError

Value = TypeVar("Value")
LARGEST_INTEGER = 2**63 - 1  # of those that tensors take
LARGEST = sys.float_info.max
MEANT = ": did you mean "
LONGEST_NAME = 200  # of what is compared with known names


def check_integer(name: str, value: Value, *, minimum: int, optional: bool = False) -> Value:
    """Give ``value`` back; raise unless it is an integer >= ``minimum``, or None where it is ``optional``."""
    if optional and value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(f"`{name}` must be an integer >= {minimum}, got {shown(value)}.")
    if not minimum <= value <= LARGEST_INTEGER:
        raise InvalidValueError(f"`{name}` must be an integer >= {minimum}, got {shown(value)}.")
    return value


def check_sequence(name: str, values: object, *, of: str) -> None:
    """Raise unless ``values`` is a list, tuple or other sequence; a string is none."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise InvalidTypeError(f"`{name}` must be a sequence of {of}, got {shown(values)}.")


def check_number(
    name: str,
    value: Value,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    optional: bool = False,
) -> Value:
    """Give ``value`` back; raise unless it is a finite number from ``low`` to ``high``, or None if ``optional``."""
    if optional and value is None:
        return value
    rule = _interval_rule(low, high, open_low=open_low, open_high=open_high)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidTypeError(f"`{name}` must be {rule}, got {shown(value)}.")
    inside = (low < value if open_low else low <= value) and (value < high if open_high else value <= high)
    if not (abs(value) <= LARGEST and inside):  # an integer may be larger than any float
        raise InvalidValueError(f"`{name}` must be {rule}, got {shown(value)}.")
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise InvalidValueError(f"`{name}` must be a float where it takes more than 64 bits, got {shown(value)}.")
    return value


def _interval_rule(low: float, high: float, *, open_low: bool, open_high: bool) -> str:
    ends = [] if math.isinf(low) else [f"{'>' if open_low else '>='} {low:g}"]
    ends += [] if math.isinf(high) else [f"{'<' if open_high else '<='} {high:g}"]
    return f"{'a number' if len(ends) == 2 else 'a finite number'} {' and '.join(ends)}".rstrip()


def check_flag(name: str, value: Value) -> Value:
    """Give ``value`` back; raise unless it is True or False."""
    if not isinstance(value, bool):
        raise InvalidTypeError(f"`{name}` must be True or False, got {shown(value)}.")
    return value


def check_choice(name: str, value: Value, choices: Iterable[str], *, rule: str = "be one of") -> Value:
    """Give ``value`` back; raise unless it is one of ``choices``, and name the one that may be meant."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        known = ", ".join(map(repr, choices))
        raise InvalidValueError(f"`{name}` must {rule} {known}, got {shown(value)}{or_meant(value, choices)}")
    return value


def check_names(what: str, title: str, given: Iterable[object], known: Sequence[str]) -> None:
    """Raise unless all names of settings are known to what is called by a title."""
    for name in given:
        if name not in known:
            names = ", ".join(known) or "nothing"
            raise InvalidValueError(
                f"`{what}` of {title} must be among {names}, got {shown(name)}{or_meant(name, known)}"
            )


def or_meant(value: object, choices: Iterable[object]) -> str:
    """End a sentence on a name that is not among the known ones: ask whether the nearest is meant, if any is near.

    Capitals, ``-``, ``_`` and ``.`` make no difference; of a dotted name the last part alone is enough.

    Example:
        >>> or_meant("focla", ["focal", "mmce"]), or_meant("--lr", ["--optimizer.lr"]), or_meant("x", ["focal"])
        (": did you mean 'focal'?", ": did you mean '--optimizer.lr'?", '.')
    """
    near = nearest(value, choices)
    return "." if near is None else f"{MEANT}{shown(near)}?"


def ended(sentence: str, place: str = "") -> str:
    """Put the place that a fault was found in to the end of a sentence, but before what it asks.

    Example:
        >>> ended("got 1.", " in 'a'"), ended("got 'foc': did you mean 'focal'?", " in 'a'")
        ("got 1 in 'a'.", "got 'foc' in 'a': did you mean 'focal'?")
    """
    said, mark, asked = sentence.partition(MEANT)
    return f"{said.rstrip('.')}{place}{mark}{asked or '.'}"


def nearest(value: object, choices: Iterable[object]) -> str | None:
    """Find the choice that a misspelt name is most like; None if it is like none."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        return None
    known: dict[str, str] = {}
    for choice in choices:
        if choice == value:  # it is known, and refused for another reason
            return None
        if isinstance(choice, str) and len(choice) <= LONGEST_NAME:
            known.setdefault(_plain(choice), choice)
            known.setdefault(_plain(choice.rpartition(".")[2]), choice)
    known.pop("", None)
    from difflib import get_close_matches  # of a mistake alone: importing it takes longer than all else here

    found = get_close_matches(_plain(value), known, n=1)
    return known[found[0]] if found else None


def _plain(name: str) -> str:
    return re.sub(r"[-_.\s]", "", name.casefold())


# Which extra brings a package. The text of an error names it, or the extra of the command that was given.
EXTRAS = {
    "report": ("fsspec", "jinja2", "jsonargparse", "matplotlib", "pyarrow", "rich", "scipy", "yaml"),
    "train": ("PIL", "datasets", "lightning", "sklearn", "tensorboardX", "torchmetrics"),
    "text": ("accelerate", "transformers"),
    "timm": ("timm",),
    "segmentation": ("monai", "nibabel"),
    "topology": ("cripser", "ot", "scipy"),
    "ray": ("ray",),
    "trl": ("peft", "trl"),
}


def require(module: str, *, extra: str | None = None) -> ModuleType | Any:
    """Import an optional dependency, or raise with the command that installs it.

    Args:
        module: Its full name.
        extra: What to install, where that is another extra than the smallest that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise
        raise MissingPackageError(to_install(top, extra), name=error.name) from None


def check_installed(package: str) -> None:
    """Raise as :func:`require` does, without the seconds that importing a large package takes."""
    if importlib.util.find_spec(package) is None:
        raise MissingPackageError(to_install(package), name=package)


def to_install(package: str, wanted: str | None = None) -> str:
    """Say what installs a package: the smallest extra that brings it, or a wanted one that brings it as well.

    Example:
        >>> to_install("rich")
        "rich is not installed: run `pip install 'adafocal[report]'`."
        >>> to_install("rich", "train")
        "rich is not installed: run `pip install 'adafocal[train]'`."
    """
    smallest = next((extra for extra, packages in EXTRAS.items() if package in packages), None)
    if smallest is None:
        return f"{package} is not installed, and is in no extra of adafocal: install it yourself."
    brings = wanted is not None and (package in EXTRAS[wanted] or (wanted, smallest) == ("train", "report"))
    extra = wanted if brings else smallest  # `train` holds `report`
    return f"{package} is not installed: run `pip install 'adafocal[{extra}]'`."
