# SPDX-License-Identifier: Apache-2.0
"""Fitted scalings as JSON files: the name of the method and its numbers."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from adafocal._files import write_text
from adafocal.errors import InvalidValueError, MissingFileError

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
    if not Path(path).is_file():
        raise MissingFileError(f"`path` must be an existing file, got {str(path)!r}.")
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        content = None
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise InvalidValueError(f"`path` must be a file that a fitted scaling saved, got {str(path)!r}.")
    method = content.pop("method", None)
    if method not in builders:
        raise InvalidValueError(f"`path` must hold {' or '.join(builders)} scaling, got {method!r} in {str(path)!r}.")
    try:
        return builders[method](**content)
    except TypeError as error:
        raise InvalidValueError(
            f"`path` must hold the parameters of {method} scaling, got {str(path)!r}: {error}"
        ) from error
