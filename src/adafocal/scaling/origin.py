# SPDX-License-Identifier: Apache-2.0
"""What a scaling was fitted on: kept with it and in its file, so that it can refuse data that do not fit."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch

from adafocal._checks import check_choice, check_integer
from adafocal._text import listed, shown
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions
from adafocal.scaling.sample import most_rows, spread_rows
from adafocal.tables.columns import OUTCOMES
from adafocal.tables.labels import same_label

F = TypeVar("F", bound=Callable[..., Any])
POSITIVE = "1"  # what a single column speaks of unless another label is named


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a scaling was fitted on.

    Attributes:
        rows: Number of rows that counted.
        kind: ``logits``, ``probs`` or ``outcomes``.
        n_classes: Number of classes C.
        classes: Names of the classes, where they are known.
        positive: The label that a single column of two classes speaks of; None where each class has its column.
        shares: Mean probability of each class after the scaling, C numbers: the class shares that it stands for.
        options: What the fit was given besides.
        source: Name of the file; None in memory.
        out_of_fold: Numbers before and after, each row scaled by a fit to other rows; None where not measured.
        keeps_predicted: Whether the predicted class of every row stays by construction; None where not said.
    """

    rows: int
    kind: str
    n_classes: int
    classes: tuple[str, ...] | None = None
    positive: str | None = None
    shares: tuple[float, ...] | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    source: str | None = None
    out_of_fold: Mapping[str, object] | None = None
    keeps_predicted: bool | None = None

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("logits", "probs", OUTCOMES))
        check_integer("n_classes", self.n_classes, minimum=2)
        check_integer("rows", self.rows, minimum=1)
        for name in ("classes", "shares"):
            held = getattr(self, name)
            if held is not None and len(held) != self.n_classes:
                raise InvalidValueError(f"`{name}` must be {self.n_classes}, one for each class, got {len(held)}.")
        if self.shares is not None and min(self.shares) < 0:
            raise InvalidValueError(f"`shares` must be at least 0, got {min(self.shares):g}.")

    def check(self, n_classes: int, classes: tuple[str, ...] | None) -> None:
        """Refuse other classes than it was fitted on.

        Raises:
            ValueError: If there are more or fewer, or their names differ or stand in another order.
        """
        if n_classes != self.n_classes:
            raise InvalidValueError(f"`predictions` must have {self.n_classes} classes, got {n_classes}.")
        names, held = _names(self.classes, self.positive, n_classes), _names(classes, None, n_classes)
        if all(
            one is None or two is None or same_label(one, two) for one, two in zip(names, held, strict=True)
        ) and not (_elsewhere(names, held)):
            return
        raise InvalidValueError(
            "`predictions` must have the classes that the scaling was fitted on, in their order, "
            f"{listed(name for name in names if name is not None)}, got {listed(classes or ())}."
        )

    def check_kind(self, kind: str, positive: str | None) -> None:
        """Refuse outcomes for classes and the other way round, and a single column of the other class.

        Args:
            kind: ``logits``, ``probs`` or ``outcomes``.
            positive: The label that a single column speaks of, where it is known.

        Raises:
            ValueError: If it does not fit.
        """
        if (kind == OUTCOMES) != (self.kind == OUTCOMES):
            what = {True: "outcomes (`confidence`, `correct`)", False: "predictions of classes"}
            raise InvalidValueError(
                f"`predictions` must hold {what[self.kind == OUTCOMES]} as when the scaling was fitted, got "
                f"{what[kind == OUTCOMES]}."
            )
        if positive is None:
            return
        names = _names(self.classes, self.positive, self.n_classes)
        if (names[1] is not None and not same_label(names[1], positive)) or (
            names[0] is not None and same_label(names[0], positive)
        ):
            raise InvalidValueError(
                f"`positive_class` must be the class that the scaling was fitted on, {shown(names[1])}, got "
                f"{shown(positive)}."
            )


def _names(classes: tuple[str, ...] | None, positive: str | None, n_classes: int) -> tuple[str | None, ...]:
    """Names of the columns as far as they are known."""
    if classes is not None:
        return classes
    return (None, positive) if positive is not None and n_classes == 2 else (None,) * n_classes


def _elsewhere(names: tuple[str | None, ...], held: tuple[str | None, ...]) -> bool:
    """Whether a name stands in another place, where not all are known."""
    return any(one is not None and one in held and held.index(one) != place for place, one in enumerate(names))


def described(fit: F) -> F:
    """Let what a fit gives say what it was fitted on."""

    @functools.wraps(fit)
    def wrapper(predictions: Predictions, *args: object, **options: object) -> object:
        fitted = fit(predictions, *args, **options)
        return fitted.with_origin(origin_of(predictions, fitted.apply, options))

    return cast(F, wrapper)


def origin_of(
    predictions: Predictions, apply: Callable[[Predictions], Predictions], options: Mapping[str, object]
) -> Origin:
    """Say what a scaling was fitted on."""
    if predictions.weight is not None:
        predictions = predictions[predictions.weight > 0]
    some = spread_rows(predictions, most_rows(predictions))
    probs = apply(some).probs.double()
    each = torch.ones_like(probs[:, 0]) if some.weight is None else some.weight.to(probs)
    return Origin(
        rows=predictions.n,
        kind=predictions.kind,
        n_classes=predictions.n_classes,
        classes=predictions.classes,
        shares=None if predictions.ragged else tuple((each @ probs / each.sum()).tolist()),
        options={name: value for name, value in options.items() if value is not None},
    )
