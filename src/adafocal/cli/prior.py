# SPDX-License-Identifier: Apache-2.0
"""Shares of the classes as ``adafocal scale apply --prior`` takes them."""

import csv
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from adafocal._files import read_json
from adafocal._settings import or_meant
from adafocal._text import listed, shown
from adafocal.errors import InvalidValueError, MissingFileError
from adafocal.scaling.prior import ROUNDING

ESTIMATE, UNIFORM = "estimate", "uniform"
RULE = "`prior` must be `estimate`, `uniform`, CLASS=SHARE ..., or a .json or .csv file"


def read_prior(given: Sequence[str], classes: Sequence[str]) -> list[float] | None:
    """Turn what was given into a share for each class; None where shares are to be estimated.

    Args:
        given: What stands after ``--prior``.
        classes: Names of the classes, or their indices as text.

    Raises:
        FileNotFoundError: If a file that is named is not there.
        ValueError: If it is none of what may be given, a class is unknown, missing or there twice, or shares are no
            numbers from 0 to 1 of sum 1.
    """
    if list(given) == [ESTIMATE]:
        return None
    if list(given) == [UNIFORM]:
        return [1 / len(classes)] * len(classes)
    pairs = _of_file(given[0]) if len(given) == 1 and "=" not in given[0] else list(map(_pair, given))
    shares: dict[str, float] = {}
    for name, text in pairs:
        if name not in classes:
            raise InvalidValueError(
                f"`prior` must name the classes {listed(classes)}, got {shown(name)}{or_meant(name, list(classes))}"
            )
        if name in shares:
            raise InvalidValueError(f"`prior` must give each class one share, got two for {shown(name)}.")
        shares[name] = _share(name, text)
    return _complete(shares, classes)


def _complete(shares: dict[str, float], classes: Sequence[str]) -> list[float]:
    missing = [name for name in classes if name not in shares]
    if len(classes) == 2 and len(missing) == 1:
        shares[missing[0]] = 1 - sum(shares.values())
    elif missing:
        raise InvalidValueError(f"`prior` must give each class a share, got none for {listed(missing)}.")
    total = sum(shares.values())
    if abs(total - 1) > ROUNDING:
        raise InvalidValueError(f"`prior` must sum to 1, got {total:.6g}.")
    return [shares[name] / total for name in classes]


def _pair(text: str) -> tuple[str, object]:
    name, sign, share = text.rpartition("=")
    if not sign or not name:
        raise InvalidValueError(f"{RULE}, got {shown(text)}.")
    return name, share


def _share(name: str, value: object) -> float:
    try:
        share = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else float("nan")
    except ValueError:
        share = float("nan")
    if not isfinite(share) or not 0 <= share <= 1:
        raise InvalidValueError(f"`prior` must give shares from 0 to 1, got {shown(value)} for {shown(name)}.")
    return share


def _of_file(place: str) -> list[tuple[str, object]]:
    """Read a JSON object of shares by class, or a CSV table of two columns, class and share."""
    path = Path(place)
    if path.suffix.lower() not in (".json", ".csv"):
        raise InvalidValueError(f"{RULE}, got {shown(place)}.")
    if not path.is_file():
        raise MissingFileError(f"`prior` must be an existing file, got {shown(place)}.")
    if path.suffix.lower() == ".json":
        held = read_json(path, finite=True)
        if not isinstance(held, dict):
            raise InvalidValueError(f"`prior` must hold shares by class, got {type(held).__name__} in {shown(place)}.")
        return list(held.items())
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidValueError(f"`prior` must be a readable CSV file, got {shown(place)} with {error}.") from error
    if any(len(row) != 2 for row in rows):
        raise InvalidValueError(f"`prior` must hold two columns, class and share, got others in {shown(place)}.")
    named = [(name.strip(), share.strip()) for name, share in rows]
    return [*named[1:]] if named and named[0][1].lower() in ("share", "prior", "probability") else [*named]
