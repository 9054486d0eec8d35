# SPDX-License-Identifier: Apache-2.0
"""Sums as values: parts of the data merge by adding, whatever is summed, and numbers are computed at the end."""

from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from adafocal._dtypes import keeping_dtype
from adafocal._ranks import Group, sum_over_ranks
from adafocal.errors import InvalidTypeError, InvalidValueError

S = TypeVar("S", bound="Sums")
# Metadata of a field that says what is summed, such as edges of bins: it is kept, and must be equal in all parts.
KEPT: dict[str, bool] = {"kept": True}


class Sums:
    """What every kind of sums is: a frozen dataclass of tensors, or of other sums, with one vocabulary.

    ``empty(…)`` gives the sums of nothing, ``merge`` adds another part of the data, ``over_ranks`` the parts of other
    processes, and ``compute(…)`` gives what they are for. Sums are never changed, so that nobody has to copy them.
    """

    made_by: ClassVar[str]

    def merge(self: S, second: S) -> S:
        """Add the sums of another part of the data: the same as summing all of it at once."""
        check_sums("second", second, type(self))
        first, other = self.like(second), second.like(self)
        return first._changed(lambda field, part: _merged(field, part, getattr(other, field.name)))

    def like(self: S, other: S) -> S:
        """The same sums with what only ``other`` keeps, such as squares of weights; most kinds keep the same always."""
        return self

    def over_ranks(self: S, group: Group = None) -> S:
        """Add the sums of all processes of a distributed run; every process must call this."""

        def added(field: "Field[Any]", part: Any) -> Any:
            if field.metadata or part is None:
                return part
            return part.over_ranks(group) if isinstance(part, Sums) else sum_over_ranks(part, group)

        return self._changed(added)

    def to(self: S, device: torch.device | str) -> S:
        """Move the sums to another device, as wide as it has numbers."""
        if isinstance(device, (torch.dtype, Tensor)):
            raise InvalidTypeError(f"`device` must be a device, got {device}: sums keep their dtype.")
        move = keeping_dtype(lambda part: part.to(device))

        def moved(_: "Field[Any]", part: Any) -> Any:
            if part is None:
                return None
            return part.to(device) if isinstance(part, Sums) else move(part)

        return self._changed(moved)

    def _changed(self: S, change: Callable[["Field[Any]", Any], Any]) -> S:
        parts: tuple[Field[Any], ...] = fields(self)  # type: ignore[arg-type]
        return type(self)(*(change(field, getattr(self, field.name)) for field in parts))


def check_sums(name: str, value: object, kind: type[Sums]) -> None:
    """Raise unless ``value`` is of this kind of sums."""
    if not isinstance(value, kind):
        raise InvalidTypeError(f"`{name}` must be {kind.__name__}, got {type(value).__name__}: use {kind.made_by}.")


def _merged(field: "Field[Any]", first: Any, second: Any) -> Any:
    if isinstance(first, Sums):
        return first.merge(second)
    if first is None:
        return None
    if field.metadata:
        if not torch.equal(first, second):
            raise InvalidValueError(
                f"`second.{field.name}` must equal `first.{field.name}`: sums over different bins cannot be added."
            )
        return first
    if first.shape != second.shape:
        raise InvalidValueError(
            f"`second.{field.name}` must have the shape of `first.{field.name}`, {tuple(first.shape)}, "
            f"got {tuple(second.shape)}."
        )
    return first + second
