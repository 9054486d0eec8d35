# SPDX-License-Identifier: Apache-2.0
"""Every loss by name: what the command line, studies, tests and docs read."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec

from torch import nn

from adafocal._own import is_own
from adafocal._settings import check_names
from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.options import check_options

__all__ = ["LOSSES", "LossSpec", "loss_title", "make_loss"]
_P = ParamSpec("_P")


@dataclass(frozen=True)
class LossSpec:
    """A loss of the catalogue.

    Attributes:
        name: Name on the command line and in studies.
        title: Name in tables and plots.
        cls: The module class, a peer of ``nn.CrossEntropyLoss``.
        formula: The loss of one sample in one line.
        paper: Authors, venue and link.
        year: Year of the paper.
        use: When to use it, in one sentence.
        defaults: Arguments that differ from the class's own defaults.
        pointwise: Whether the loss of a sample depends on that sample alone, not on the rest of the batch.
        soft_labels: Whether class probabilities and label smoothing are defined.
        detached: Whether part of the formula is a constant to the gradient.
        dense: Whether the loss has a meaning for signals, images and volumes alone, (N, C, d1, …).
    """

    name: str
    title: str
    cls: type[nn.Module]
    formula: str
    paper: str
    year: int
    use: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    pointwise: bool = True
    soft_labels: bool = True
    detached: bool = False
    dense: bool = False


LOSSES: dict[str, LossSpec] = {}  # each file of losses adds its own, in the order of losses/__init__.py


def _adding(make: Callable[_P, LossSpec]) -> Callable[_P, None]:
    """Turn what makes a loss into what enters it into the catalogue, with the same arguments."""

    def add(*args: _P.args, **kwargs: _P.kwargs) -> None:
        spec = make(*args, **kwargs)
        if spec.name in LOSSES:
            raise InvalidValueError(f"`name` must be new to the catalogue of losses, got {spec.name!r}.")
        LOSSES[spec.name] = spec

    return add


add_loss = _adding(LossSpec)  # takes the attributes of a LossSpec
add_loss(
    name="cross_entropy",
    title="Cross-entropy",
    cls=nn.CrossEntropyLoss,
    formula="-log p",
    paper="Good, JRSS B 14(1)",
    year=1952,
    use="The baseline; proper, yet over-confident once the training set is fitted.",
)
add_loss(
    name="label_smoothing",
    title="Label smoothing (0.05)",
    cls=nn.CrossEntropyLoss,
    formula="-Σ y_c log p_c, y = 0.95 one-hot + 0.05 / C",
    paper="Szegedy et al., CVPR 2016, arXiv:1512.00567",
    year=2016,
    use="One number tames over-confidence; it also blurs what confidence says about the sample.",
    defaults={"label_smoothing": 0.05},
)


def make_loss(name: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """Build a loss of the catalogue, of an installed package, or of your own.

    Args:
        name: A key of ``LOSSES``; what a package offers by an entry point ``adafocal.losses``; or
            ``package.module:name`` of a class or function, which is imported.
        arguments: Keyword arguments of its class or function, over the catalogue's defaults.

    Returns:
        A new loss module.

    Raises:
        TypeError: If ``arguments`` are not names and values, one is of the wrong type, or own code gives no module.
        ValueError: If the name is unknown, or an argument is not one of the class's or out of range.
        RuntimeError: If own code raises something.

    Example:
        >>> make_loss("focal", {"gamma": 1.0}).gamma
        1.0
    """
    if not isinstance(name, str) or name not in LOSSES:
        from adafocal.losses.own import own_loss  # reads the catalogue

        return own_loss(name, arguments)
    if arguments is not None and not isinstance(arguments, Mapping):
        raise InvalidTypeError(f"`loss_args` must be names and values, got {shown(arguments)}.")
    spec = LOSSES[name]
    check_loss_args(name, arguments or {})
    arguments = {**spec.defaults, **(arguments or {})}
    if spec.cls is nn.CrossEntropyLoss:  # torch looks at its options in the first step only
        check_options(**arguments)
    return spec.cls(**arguments)


def check_loss_args(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise if a loss of the catalogue does not take arguments of these names."""
    spec = LOSSES[name]
    known = [parameter for parameter in inspect.signature(spec.cls).parameters if parameter not in LEGACY_ARGUMENTS]
    check_names("loss_args", name, arguments, known)


def usual_arguments(name: str) -> dict[str, Any]:
    """Give the arguments that a loss of the catalogue has where none are given."""
    spec = LOSSES[name]
    return {one.name: one.default for one in inspect.signature(spec.cls).parameters.values()} | dict(spec.defaults)


def loss_title(name: str, arguments: Mapping[str, Any] | None = None) -> str:
    """Name a loss in tables and plots, with the numbers that it was trained with.

    Args:
        name: A key of ``LOSSES``, or any other name; own code is not imported for it.
        arguments: Arguments over the catalogue's defaults.

    Returns:
        The catalogue's title, with the numbers in it replaced by those of ``arguments``; of ``package.module:name`` the
        last part with all arguments, and any other name itself.

    Raises:
        TypeError: If ``name`` is not a string, or ``arguments`` are not names and values.

    Example:
        >>> loss_title("focal"), loss_title("focal", {"gamma": 2.0}), loss_title("mine.losses:Poly", {"epsilon": 2})
        ('Focal (γ = 3)', 'Focal (γ = 2)', 'Poly (epsilon = 2)')
    """
    if not isinstance(name, str):
        raise InvalidTypeError(f"`name` must be a string, got {shown(name)}.")
    if arguments is not None and not isinstance(arguments, Mapping):
        raise InvalidTypeError(f"`arguments` must be names and values, got {shown(arguments)}.")
    if name not in LOSSES:
        given = ", ".join(f"{argument} = {value}" for argument, value in (arguments or {}).items())
        own = name.partition(":")[2]
        return (f"{own} ({given})" if given else own) if is_own(name) else name
    spec = LOSSES[name]
    title = spec.title
    usual = usual_arguments(name)
    for argument, value in (arguments or {}).items():
        before = usual.get(argument)
        if all(isinstance(number, (int, float)) for number in (before, value)):
            title = re.sub(rf"(?<![\d.]){re.escape(f'{before:g}')}(?![\d.])", f"{value:g}", title)
    return title


LEGACY_ARGUMENTS = ("size_average", "reduce")  # deprecated by torch
