# SPDX-License-Identifier: Apache-2.0
"""One scaling per label of a sigmoid model, drawn towards that of all labels, the more the rarer the label is."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adafocal._checks import check_number
from adafocal._text import listed, shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.multilabel import MultilabelPredictions
from adafocal.predictions import Predictions
from adafocal.scaling.files import Described, build_fitted, read_fitted, write_fitted
from adafocal.scaling.log_odds import fit_platt
from adafocal.scaling.sample import spread

PER_LABEL = "per_label"
ENOUGH = 20_000  # entries of other labels that a label is drawn towards


@dataclass(frozen=True, eq=False)
class PerLabelScaling:
    """A scaling for each label, of two classes each: it does not apply, and it applies.

    Attributes:
        shrinkage: How many rarer outcomes the entries of all other labels count as in the fit to a label.
        pooled: The scaling fitted to the entries of all labels.
        labels: The scaling of each label; None where it takes the pooled one.
        classes: Names of the labels, or None.

    Raises:
        ValueError: If ``shrinkage`` is below 0, or names are not as many as labels.
    """

    shrinkage: float
    pooled: Described
    labels: tuple[Described | None, ...]
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.shrinkage != math.inf:
            check_number("shrinkage", self.shrinkage, low=0.0)
        if self.classes is not None and len(self.classes) != len(self.labels):
            raise InvalidValueError(f"`classes` must name {len(self.labels)} labels, got {len(self.classes)}.")

    @property
    def n_labels(self) -> int:
        """Number of labels L."""
        return len(self.labels)

    @property
    def takes_pooled(self) -> tuple[str, ...]:
        """Names of the labels that take the pooled scaling, or their places from 0."""
        names = self.classes or tuple(map(str, range(self.n_labels)))
        return tuple(name for name, own in zip(names, self.labels, strict=True) if own is None)

    def apply(self, predictions: MultilabelPredictions) -> MultilabelPredictions:
        """Scale each label.

        Args:
            predictions: Predictions of the labels of the fit, in their order.

        Returns:
            A new record of the kind that the method gives, with the same labels, weights and clusters.

        Raises:
            TypeError: If ``predictions`` are of no several labels.
            ValueError: If labels differ in number or name.
        """
        _check_record(predictions)
        if predictions.n_labels != self.n_labels:
            raise InvalidValueError(f"`predictions` must have {self.n_labels} labels, got {predictions.n_labels}.")
        if None not in (self.classes, predictions.classes) and self.classes != predictions.classes:
            rule = f"`predictions` must have the labels of the fit, in their order, {listed(self.classes or ())}"
            raise InvalidValueError(f"{rule}, got {listed(predictions.classes or ())}.")
        scaled = [
            (own or self.pooled).apply(predictions.column(place)) for place, own in enumerate(self.labels)
        ]  # fmt: skip
        if scaled[0].logits is None:
            return predictions.with_values(probs=torch.stack([one.probs[:, 1] for one in scaled], dim=1))
        odds = [one.logits[:, 1] - one.logits[:, 0] for one in scaled if one.logits is not None]
        return predictions.with_values(logits=torch.stack(odds, dim=1))

    def save(self, path: str | Path) -> None:
        """Write to a JSON file, whole or not at all."""
        content: dict[str, object] = {
            "shrinkage": None if self.shrinkage == math.inf else self.shrinkage,
            "pooled": self.pooled.content(),
            "labels": [None if own is None else own.content() for own in self.labels],
            "classes": None if self.classes is None else list(self.classes),
        }
        write_fitted(path, PER_LABEL, content)

    @classmethod
    def load(cls, path: str | Path) -> "PerLabelScaling":
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file holds something else.
        """
        from adafocal.scaling.catalogue import SINGLE  # which names the methods of this package

        return read_fitted(path, {PER_LABEL: partial(_build, SINGLE, shown(str(path)))})


def fit_per_label(
    predictions: MultilabelPredictions,
    *,
    fit: Callable[[Predictions], Described] = fit_platt,
    shrinkage: float = 10.0,
) -> PerLabelScaling:
    """Fit one scaling per label, drawn towards the scaling of all labels.

    Use it where labels are off to different degrees and some are rare: a rare label alone has too few positive entries
    to fit anything, and the scaling of all labels is that of the frequent ones.

    Formula: the scaling of a label is fitted to its own known entries, with their weights, and to those of all other
    labels, with weights by which their rarer outcome (applies, or does not) counts ``shrinkage`` times (a power prior).
    A label whose rarer outcome occurs m times so has a share of about m / (m + shrinkage) in its fit.

    Args:
        predictions: Held-out predictions. Their weights count.
        fit: What fits a scaling of two classes: ``fit_platt``, ``fit_temperature``, ``fit_beta``, ``fit_isotonic`` or
            another.
        shrinkage: At least 0, which fits each label alone; infinite: all take the pooled scaling.

    Returns:
        The scalings of the labels, and the pooled one. A label that always or never applies, or of which nothing is
        known, takes the pooled one: ``takes_pooled`` names it.

    Raises:
        TypeError: If ``predictions`` are of no several labels, or ``fit`` is no function.
        ValueError: If ``shrinkage`` is below 0, or a fit refuses its entries.

    Example:
        >>> logits = torch.tensor([[2.0, -1.0], [-2.0, -3.0], [1.0, -2.0], [-1.0, -2.5]])
        >>> labels = torch.tensor([[1, 0], [0, 0], [0, 0], [1, 0]])
        >>> fitted = fit_per_label(MultilabelPredictions(logits=logits, labels=labels, classes=["often", "never"]))
        >>> fitted.takes_pooled
        ('never',)

    Reference:
        Ibrahim and Chen, "Power prior distributions for regression models", Statistical Science 15, 2000.
    """
    _check_record(predictions)
    if not callable(fit):
        raise InvalidTypeError(f"`fit` must be a function that fits one scaling, got {shown(fit)}.")
    if shrinkage != math.inf:
        check_number("shrinkage", shrinkage, low=0.0)
    known = [place for place in range(predictions.n_labels) if bool(predictions.known[:, place].any())]
    each = {place: predictions.of_label(place) for place in known}
    each = {place: _weighted(one, _weight(one)) for place, one in each.items()}
    everything = predictions.pooled()
    pooled = fit(_weighted(everything, _weight(everything)))
    own = {place: one for place, one in each.items() if shrinkage != math.inf and _rarer(one) > 0}
    labels = []
    for place in range(predictions.n_labels):
        others = [each[other] for other in known if other != place]
        labels.append(fit(_drawn(own[place], others, shrinkage)) if place in own else None)
    return PerLabelScaling(float(shrinkage), pooled, tuple(labels), predictions.classes)


def _drawn(own: Predictions, others: list[Predictions], shrinkage: float) -> Predictions:
    """A label's entries, with those of the others as a prior."""
    if not others or shrinkage == 0:
        return own
    some = Predictions.concatenate([one[spread(one.n, max(2, ENOUGH // len(others)))] for one in others])
    rarer = _rarer(some)
    if rarer == 0:
        return own
    return Predictions.concatenate([own, _weighted(some, _weight(some) * (shrinkage / rarer))])


def _weighted(binary: Predictions, weight: Tensor) -> Predictions:
    """The same entries with these weights, and without clusters."""
    if binary.logits is None:
        return Predictions(probs=binary.probs, labels=binary.labels, weight=weight)
    return Predictions(logits=binary.logits, labels=binary.labels, weight=weight)


def _weight(binary: Predictions) -> Tensor:
    return torch.ones_like(binary.labels, dtype=torch.float64) if binary.weight is None else binary.weight.double()


def _rarer(binary: Predictions) -> float:
    """How often the rarer of the two outcomes occurs, by weight."""
    weight = _weight(binary)
    applies = float(weight @ binary.labels.double())
    return min(applies, float(weight.sum()) - applies)


def _check_record(predictions: object) -> None:
    if not isinstance(predictions, MultilabelPredictions):
        raise InvalidTypeError(
            f"`predictions` must be adafocal.MultilabelPredictions, got {type(predictions).__name__}: "
            "use MultilabelPredictions(logits=..., labels=...)."
        )


def _build(
    builders: Mapping[str, Callable[..., Any]],
    place: str,
    *,
    shrinkage: float | None,
    pooled: object,
    labels: object,
    classes: object = None,
) -> PerLabelScaling:
    held = [pooled, *labels] if isinstance(labels, list) else [None]
    if not all(isinstance(one, dict) for one in held if one is not None) or held[0] is None or len(held) < 2:
        raise InvalidValueError(f"`labels` must be a list of scalings beside `pooled`, got another in {place}.")
    if classes is not None and not (isinstance(classes, list) and all(isinstance(one, str) for one in classes)):
        raise InvalidValueError(f"`classes` must be a list of names, got {shown(classes)} in {place}.")
    built = [build_fitted(one, builders, place) if isinstance(one, dict) else None for one in held]
    assert built[0] is not None
    names = tuple(classes) if isinstance(classes, list) else None
    return PerLabelScaling(math.inf if shrinkage is None else shrinkage, built[0], tuple(built[1:]), names)
