# SPDX-License-Identifier: Apache-2.0
"""Fitted scalings as JSON files: the name of the method and its numbers."""

import copy
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from adafocal._checks import LARGEST
from adafocal._files import read_json, write_text
from adafocal._records import as_record, to_plain
from adafocal._text import listed, shown
from adafocal._values import check_predictions
from adafocal.errors import InvalidTypeError, InvalidValueError, MissingFileError
from adafocal.predictions import Predictions
from adafocal.scaling.origin import Origin

FORMAT, OLDER = "adafocal-scaling-2", ("adafocal-scaling-1",)  # which said nothing of what it was fitted on
FITTED_ON = "fitted_on"
# Methods that know no class from another, and what is made of them by group.
OF_CHOICES = ("temperature", "by_group")
Fitted = TypeVar("Fitted")
One = TypeVar("One", bound="Described")


class Described:
    """What every fitted scaling has: what it was fitted on, and a file.

    Attributes:
        origin: What it was fitted on; None where that is not known. It does not count where scalings are compared.
    """

    origin: Origin | None = None

    def with_origin(self: One, origin: Origin | None) -> One:
        """The same scaling, said to be fitted on this."""
        told = copy.copy(self)
        object.__setattr__(told, "origin", origin)  # its subclasses are frozen
        return told

    def check(self, predictions: Predictions) -> None:
        """Refuse what are no predictions, or not of the classes that it was fitted on.

        Raises:
            TypeError: If ``predictions`` is no such record.
            ValueError: If classes differ.
        """
        check_predictions("predictions", predictions)
        if predictions.ragged:
            check_of_choices(str(self.content()["method"]))
        elif self.origin is not None:
            self.origin.check(predictions.n_classes, predictions.classes)

    def apply(self, predictions: Predictions) -> Predictions:
        """Scale predictions."""
        raise NotImplementedError

    def content(self) -> dict[str, object]:
        """What its file holds: the name of the method as ``method``, and its parameters."""
        raise NotImplementedError

    def save(self, path: str | Path) -> None:
        """Write to a JSON file, whole or not at all."""
        parameters = self.content()
        write_fitted(path, str(parameters.pop("method")), parameters, self.origin)


def write_fitted(path: str | Path, method: str, parameters: Mapping[str, object], origin: Origin | None = None) -> None:
    """Write a method's name and parameters (numbers, strings and lists) as JSON; floats are kept exactly.

    What it was fitted on is kept with it, where that is known.
    """
    check_suffix(path)
    told = {} if origin is None else {FITTED_ON: to_plain(origin)}
    content = {"format": FORMAT, "method": method, **told, **parameters}
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def check_of_choices(method: str) -> None:
    """Refuse a method that knows one class from another for choices that each row has for itself."""
    if method not in OF_CHOICES:
        raise InvalidValueError(
            f"`predictions` must have the same classes in every row for {method} scaling, got ragged choices, which "
            f"take {OF_CHOICES[0]} scaling."
        )


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
    if not isinstance(content, dict) or content.pop("format", None) not in (FORMAT, *OLDER):
        raise InvalidValueError(f"`path` must be a file that a fitted scaling saved, got {place}.")
    told = content.pop(FITTED_ON, None)
    fitted = build_fitted(content, builders, place)
    rule = f"`path` must say what the scaling was fitted on as adafocal does, got {place}"
    if told is None or not isinstance(fitted, Described):
        return fitted
    return fitted.with_origin(as_record(told, Origin, rule))


def build_fitted(content: Mapping[str, object], builders: Mapping[str, Callable[..., Fitted]], place: str) -> Fitted:
    """Build what a file describes.

    Raises:
        ValueError: If its method is not among ``builders``, or its parameters do not fit.
    """
    content = dict(content)
    method = content.pop("method", None)
    if not isinstance(method, str) or method not in builders:
        raise InvalidValueError(f"`path` must hold {' or '.join(builders)} scaling, got {shown(method)} in {place}.")
    build = builders[method]
    takes = {name: of for name, of in inspect.signature(build).parameters.items() if name != "origin"}
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
