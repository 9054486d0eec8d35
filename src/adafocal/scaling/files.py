# SPDX-License-Identifier: Apache-2.0
"""Fitted scalings as JSON files: the name of the method and its numbers."""

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from adafocal._checks import LARGEST
from adafocal._files import read_json, write_text
from adafocal._text import listed, shown
from adafocal.errors import InvalidTypeError, InvalidValueError, MissingFileError

FORMAT = "adafocal-scaling-1"
Fitted = TypeVar("Fitted")


def write_fitted(path: str | Path, method: str, parameters: Mapping[str, Any]) -> None:
    """Write a method's name and parameters (numbers, strings and lists) as JSON; floats are kept exactly."""
    check_suffix(path)
    content = {"format": FORMAT, "method": method, **parameters}
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def check_suffix(path: str | Path) -> None:
    """Refuse a path that does not end in ``.json``."""
    if Path(path).suffix.lower() != ".json":
        raise InvalidValueError(f"`path` must end in .json, got {str(path)!r}.")


def read_fitted(path: str | Path, builders: Mapping[str, Callable[..., Fitted]]) -> Fitted:
    """Read a file of :func:`write_fitted` and build what it describes.

    Args:
        path: The JSON file.
        builders: What to call with the parameters, by method.

    Returns:
        What the builder of the file's method returns.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file, its method is not among ``builders``, or its parameters do not fit.
    """
    place = shown(str(path))
    if not Path(path).is_file():
        raise MissingFileError(f"`path` must be an existing file, got {place}.")
    try:
        content = read_json(path, finite=True)
    except InvalidValueError as error:
        raise InvalidValueError(f"`path` must be a file that a fitted scaling saved, got {place}.") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise InvalidValueError(f"`path` must be a file that a fitted scaling saved, got {place}.")
    method = content.pop("method", None)
    if not isinstance(method, str) or method not in builders:
        raise InvalidValueError(f"`path` must hold {' or '.join(builders)} scaling, got {shown(method)} in {place}.")
    build = builders[method]
    takes = inspect.signature(build).parameters
    missing = [name for name, of in takes.items() if of.default is of.empty and name not in content]
    if missing or not set(content) <= set(takes):
        raise InvalidValueError(
            f"`path` must hold the parameters of {method} scaling, {listed(takes)}, got {listed(content)} in {place}."
        )
    try:
        return build(**content)
    except InvalidTypeError as error:
        raise InvalidValueError(str(error)) from error


def as_numbers(name: str, value: object, *, ndim: int) -> Tensor:
    """Read what a file holds as a tensor of float64.

    Args:
        name: What it is called.
        value: Numbers in lists within lists.
        ndim: How many, 1 or 2.

    Raises:
        ValueError: If it is anything else, rows have several lengths, or a number is not finite.
    """
    rows = value if ndim == 2 else [value]
    rule = f"`{name}` must be {'a list' if ndim == 1 else 'lists of one length'} of finite numbers"
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise InvalidValueError(f"{rule}, got {shown(value)}.")
    if len({len(row) for row in rows}) > 1:
        raise InvalidValueError(f"{rule}, got {sorted({len(row) for row in rows})[:5]} numbers.")
    for number in (number for row in rows for number in row):
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) <= LARGEST:
            raise InvalidValueError(f"{rule}, got {shown(number)}.")
    found = torch.tensor(rows, dtype=torch.float64)
    return found if ndim == 2 else found[0]
