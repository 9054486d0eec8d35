# SPDX-License-Identifier: Apache-2.0
"""Losses of the user's own: a class, a function that returns a module, or the loss itself as a function."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from adafocal._own import find, telling
from adafocal._typed import parameters_of, typed_arguments
from adafocal.errors import InvalidTypeError
from adafocal.losses.catalogue import LOSSES


class FunctionLoss(nn.Module):
    """A plain function of a batch as a module.

    Args:
        function: Called as ``function(logits, labels, **arguments)``, gives one number.
        arguments: Its other arguments.
    """

    def __init__(self, function: Callable[..., Tensor], arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.function = function
        self.arguments = dict(arguments)

    def forward(self, logits: Tensor, labels: Tensor) -> Any:
        """Call the function."""
        return self.function(logits, labels, **self.arguments)

    def extra_repr(self) -> str:
        """Show the function and its arguments."""
        shown = [f"{name}={value}" for name, value in self.arguments.items()]
        return ", ".join([getattr(self.function, "__qualname__", repr(self.function)), *shown])


def own_loss(name: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """Import a loss of the user's own and build it; see :func:`adafocal.losses.make_loss`.

    Raises:
        TypeError: If it gives no module, or an argument is of another type than its annotation says.
        ValueError: If there is no such thing, or its signature does not take the arguments.
        RuntimeError: If its own code raises something.
    """
    function, first, typed = _checked(name, arguments)
    if first:
        return FunctionLoss(function, typed)
    with telling("loss", name, [function.__module__ or ""]):
        loss = function(**typed)
    if not isinstance(loss, nn.Module):
        raise InvalidTypeError(
            f"`loss` must name a class of nn.Module, a function that returns one, or a function of logits and labels, "
            f"got {name}, which gives {type(loss).__name__}."
        )
    return loss


def check_own_loss(name: str, arguments: Mapping[str, Any] | None = None) -> None:
    """Import a loss of the user's own and check its arguments, without building it; see :func:`own_loss`."""
    _checked(name, arguments)


def _checked(
    name: str, arguments: Mapping[str, Any] | None
) -> tuple[Callable[..., Any], tuple[str, ...], dict[str, Any]]:
    """Import the code; give it, its names for logits and labels if it is the loss itself, and its typed arguments."""
    function = find("loss", name, LOSSES)
    first = _batch_parameters(function, name, arguments)
    return function, first, typed_arguments("loss_args", name, function, arguments, ours=first)


def _batch_parameters(function: Callable[..., Any], name: str, arguments: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Names that a plain function has for logits and labels: its first two, which have no defaults; none of others."""
    if inspect.isclass(function):
        return ()
    parameters = list(parameters_of("loss", name, function).values())[:2]
    by_place = all(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
    free = all(one.default is one.empty and one.name not in (arguments or {}) for one in parameters)
    return tuple(one.name for one in parameters) if len(parameters) == 2 and by_place and free else ()
