# SPDX-License-Identifier: Apache-2.0
"""Arguments from settings for a function of the user's own: known by its signature, typed by its annotations."""

import enum
import inspect
import os
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from adafocal._settings import check_names, require
from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError

PLAIN = (int, float, bool, str, NoneType, list, tuple, dict, set, Any)


def typed_arguments(
    what: str,
    title: str,
    function: Callable[..., Any],
    given: Mapping[str, object] | None,
    *,
    ours: Collection[str] = (),
) -> dict[str, Any]:
    """Check arguments against a signature, and turn each into the type that its annotation names.

    Values that stand for objects, such as the path of a class, are not built: they could lead to other code.

    Args:
        what: The setting that holds them, such as ``loss_args``.
        title: What the function is called.
        function: A class or function.
        given: The arguments by name.
        ours: Parameters that are not the user's to set.

    Returns:
        The arguments, as the function takes them.

    Raises:
        TypeError: If ``given`` are not names and values, or a value is of another type.
        ValueError: If an argument is unknown, one without a default is missing, or the signature cannot be read.

    Example:
        >>> def loss(logits, labels, *, gamma: float = 1.0): ...
        >>> typed_arguments("loss_args", "mine:loss", loss, {"gamma": "2"}, ours=("logits", "labels"))
        {'gamma': 2.0}
    """
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise InvalidTypeError(f"`{what}` must be names and values, got {shown(given)}.")
    parameters = parameters_of(what, title, function)
    takes = [one for one in parameters.values() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    known = [one.name for one in takes if one.name not in ours]
    anything = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    check_names(what, title, [name for name in given if not anything or name in ours], known)
    needed = [one.name for one in takes if one.name in known and one.default is one.empty and one.name not in given]
    if needed:
        raise InvalidValueError(f"`{what}` of {title} must give {', '.join(needed)}, got {shown(dict(given))}.")
    hints = _hints(function, parameters)
    return {
        name: _typed(f"{what}.{name}", title, value, hints.get(name), parameters.get(name))
        for name, value in given.items()
    }


def parameters_of(what: str, title: str, function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Read the parameters of a class or function.

    Raises:
        ValueError: If it has no signature, as some that are written in C.
    """
    try:
        return inspect.signature(function).parameters
    except (ValueError, TypeError) as error:
        raise InvalidValueError(
            f"`{what}` must go to a function whose signature can be read, got {title}: wrap it in a function of yours."
        ) from error


def _hints(function: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Annotations by parameter, as far as they can be resolved."""
    inner: Any = getattr(function, "func", function)  # of a partial
    target = inner.__init__ if inspect.isclass(inner) else inner
    found = {
        name: one.annotation
        for name, one in parameters.items()
        if one.annotation is not one.empty and not isinstance(one.annotation, str)
    }
    try:
        return found | typing.get_type_hints(target, include_extras=True)
    except (NameError, TypeError, AttributeError):  # names of type checkers alone
        return found


def _typed(name: str, title: str, value: Any, hint: Any, parameter: inspect.Parameter | None) -> Any:
    if hint is None or hint is Any or isinstance(hint, (str, typing.TypeVar)):
        return value
    optional = parameter is not None and parameter.default is None
    if value is None and (optional or _takes_none(hint)):
        return None
    plain = _plain_part(hint)
    if plain is not None:
        parser = require("jsonargparse", extra="train").ArgumentParser(exit_on_error=False)
        parser.add_argument("--value", type=plain)
        try:
            found = parser.parse_object({"value": value}).value
        except Exception:  # jsonargparse has several, by version
            found = None
        if found is not None:
            return found
    if "torch.Tensor" in _named(hint) and isinstance(value, (list, tuple)):
        return _tensor(name, title, value)
    raise InvalidTypeError(f"`{name}` of {title} must be {_named(hint)}, got {shown(value)}.")


def _tensor(name: str, title: str, value: Sequence[Any]) -> Any:
    torch = require("torch", extra="train")
    try:
        return torch.tensor(value)
    except (ValueError, TypeError, RuntimeError):
        raise InvalidTypeError(f"`{name}` of {title} must be numbers for a tensor, got {shown(value)}.") from None


def _takes_none(hint: Any) -> bool:
    return hint is NoneType or NoneType in get_args(hint)


def _plain_part(hint: Any) -> Any:
    """What of a type can be written in settings; None where nothing of it can."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _plain_part(inner[0])
    if origin in (Union, UnionType):
        parts = [part for part in map(_plain_part, inner) if part is not None]
        return reduce(or_, parts) if parts else None
    if origin is Literal or hint in PLAIN:
        return hint
    if inspect.isclass(origin) and issubclass(origin, Iterable):
        parts = [one is Ellipsis or one is Any or _plain_part(one) == one for one in inner]
        return hint if all(parts) and issubclass(origin, (list, tuple, dict, set, Sequence, Mapping)) else None
    is_plain_class = inspect.isclass(hint) and origin is None and issubclass(hint, (enum.Enum, os.PathLike))
    return hint if is_plain_class else None


def _named(hint: Any) -> str:
    """Write a type as its author did, about."""
    if hint is NoneType:
        return "None"
    if inspect.isclass(hint) and get_origin(hint) is None:
        return hint.__name__ if hint.__module__ in ("builtins", "pathlib") else f"{hint.__module__}.{hint.__name__}"
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_named, get_args(hint)))
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    return str(hint).replace("typing.", "").replace("collections.abc.", "")
