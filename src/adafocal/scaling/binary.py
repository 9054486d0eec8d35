# SPDX-License-Identifier: Apache-2.0
"""Isotonic regression and histogram binning: maps from one probability to another, for each class or the top label."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import check_choice, check_integer
from adafocal._shapes import Confidence, Correct, ProbMatrix, SampleWeight
from adafocal._text import shown
from adafocal.calibration.cells import sum_binned
from adafocal.calibration.edges import find_bins
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions
from adafocal.scaling.files import Described, as_numbers, read_fitted
from adafocal.scaling.isotonic import isotonic_map
from adafocal.scaling.origin import described
from adafocal.scaling.scores import fit_data

Fit: TypeAlias = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
METHODS = ("isotonic", "histogram")
EVENTS = ("one_vs_rest", "top_label")
# The top label stays strictly ahead by this relative gap, so that rounding to float32 makes no ties.
LEAD = 1e-5


@dataclass(frozen=True, eq=False)
class BinaryScaling(Described):
    """Fitted maps from a probability to a calibrated one.

    Attributes:
        method: ``isotonic`` (straight lines between knots) or ``histogram`` (one value per bin).
        event: ``one_vs_rest``: one map per class, normalised afterwards; it can change the predicted class.
            ``top_label``: one map for the confidence; the predicted class stays.
        n_classes: Number of classes C.
        knots: For each map the ascending knots, or the inner edges of the bins, each of its own length.
        values: For each map the values at the knots, or of the bins, in [0, 1].

    Raises:
        ValueError: If ``method`` or ``event`` is unknown, or the maps do not fit together.
    """

    method: str
    event: str
    n_classes: int
    knots: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_choice("event", self.event, EVENTS)
        check_integer("n_classes", self.n_classes, minimum=2)
        n_maps = self.n_classes if self.event == "one_vs_rest" else 1
        if not len(self.knots) == len(self.values) == n_maps:
            raise InvalidValueError(
                f"`knots` and `values` must describe {n_maps} maps, got {len(self.knots)}, {len(self.values)}."
            )
        extra = 0 if self.method == "isotonic" else 1
        for knots, values in zip(self.knots, self.values, strict=True):
            ascending = knots.isfinite().all() and (knots.diff() >= 0).all()
            if values.numel() == 0 or values.numel() != knots.numel() + extra or not ascending:
                raise InvalidValueError("`knots` must ascend, with one value per knot or bin, got others.")
            if not ((values >= 0) & (values <= 1)).all():
                raise InvalidValueError(f"`values` must lie in [0, 1], got {values.min():g} to {values.max():g}.")

    def apply(self, predictions: Predictions) -> Predictions:
        """Map the probabilities.

        Args:
            predictions: N predictions with the number of classes that the maps were fitted on.

        Returns:
            A new record of probabilities, also where ``predictions`` held logits; same labels and features. With
            ``one_vs_rest`` a row whose mapped probabilities are all zero becomes uniform. With ``top_label`` the
            confidence is the mapped one, at least 1/C, and the rest keeps its proportions as far as the top label
            stays on top.

        Raises:
            ValueError: If the number of classes differs.
        """
        self.check(predictions)
        if predictions.n_classes != self.n_classes:
            raise InvalidValueError(f"`predictions` must have {self.n_classes} classes, got {predictions.n_classes}.")
        probs = predictions.probs
        if self.event == "top_label":
            top = predictions.predicted[:, None]
            mapped = _with_top(probs.double(), top, self._map(0, probs.gather(1, top)[:, 0]))
        else:
            columns = torch.stack([self._map(k, probs[:, k]) for k in range(self.n_classes)], dim=1)
            total = columns.sum(dim=1, keepdim=True)
            mapped = torch.where(total > 0, columns / total.clamp_min(1e-300), 1 / self.n_classes)
        return predictions.with_values(probs=mapped.to(probs.dtype))

    def _map(self, index: int, probs: Confidence) -> Tensor:
        knots, values = self.knots[index], self.values[index]
        if self.method == "histogram":
            return values.to(probs.device)[find_bins(probs.double(), knots.to(probs.device))]
        mapped = np.interp(probs.double().cpu().numpy(), knots.cpu().numpy(), values.cpu().numpy())
        return torch.from_numpy(mapped).to(probs.device)

    def content(self) -> dict[str, object]:
        """What its file holds."""
        maps = {"knots": [k.tolist() for k in self.knots], "values": [v.tolist() for v in self.values]}
        return {"method": self.method, "event": self.event, "n_classes": self.n_classes, **maps}

    @classmethod
    def load(cls, path: str | Path) -> "BinaryScaling":
        """Read what :meth:`save` wrote; errors are those of :func:`load_scaling`."""
        return read_fitted(path, BINARY_BUILDERS)


@described
def fit_isotonic(predictions: Predictions, *, event: str = "one_vs_rest") -> BinaryScaling:
    """Fit non-decreasing maps of probabilities on held-out predictions, by least squares.

    Use it with a thousand samples or more; on few it overfits, and it makes ties.

    Args:
        predictions: At least 2 held-out predictions. Their weights count.
        event: ``one_vs_rest`` fits one map per class to "the label is this class" and normalises;
            ``top_label`` fits one map to "the predicted class is right" and preserves the predicted class.

    Returns:
        The fitted maps: straight lines between the knots, constant beyond them.

    Raises:
        ValueError: If there are fewer than 2 samples, the labels name a single class (``one_vs_rest``), or ``event`` is
            unknown.
        ModuleNotFoundError: Without SciPy, with the command that installs it.

    Example:
        >>> probs = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
        >>> predictions = Predictions(probs=probs, labels=torch.tensor([0, 0, 1, 0]))
        >>> fit_isotonic(predictions, event="top_label").apply(predictions).confidence
        tensor([1.0000, 1.0000, 0.5000, 0.5000])

    Reference:
        Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002.
        Gupta and Ramdas, "Top-label calibration and multiclass-to-binary reductions", ICLR 2022,
        https://arxiv.org/abs/2107.08353 (the top-label event).
    """

    def fit(probs: Confidence, happened: Correct, weight: SampleWeight | None) -> tuple[Tensor, Tensor]:
        each = np.ones(len(probs)) if weight is None else weight.double().cpu().numpy()
        knots, values = isotonic_map(probs.double().cpu().numpy(), happened.double().cpu().numpy(), each)
        return torch.from_numpy(knots), torch.from_numpy(values)

    return _fit("isotonic", predictions, event, fit)


@described
def fit_histogram(
    predictions: Predictions, *, event: str = "one_vs_rest", n_bins: int = 15, binning: str = "equal_mass"
) -> BinaryScaling:
    """Fit step functions of probabilities on held-out predictions: in each bin, how often the event happened.

    Args:
        predictions: At least 2 held-out predictions. Their weights count.
        event: ``one_vs_rest`` fits one map per class to "the label is this class" and normalises;
            ``top_label`` fits one map to "the predicted class is right" and preserves the predicted class.
        n_bins: Bins per map; at least 50 samples in each is a sound rule.
        binning: ``equal_mass`` or ``equal_width``.

    Returns:
        The fitted maps; an empty bin has its centre as value.

    Raises:
        ValueError: If there are fewer than 2 samples, the labels name a single class (``one_vs_rest``), or an option is
            out of range.

    Example:
        >>> probs = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
        >>> predictions = Predictions(probs=probs, labels=torch.tensor([0, 0, 1, 0]))
        >>> fit_histogram(predictions, event="top_label", n_bins=2).apply(predictions).confidence
        tensor([1.0000, 1.0000, 0.5000, 0.5000])

    Reference:
        Zadrozny and Elkan, "Obtaining calibrated probability estimates from decision trees and naive Bayesian
        classifiers", ICML 2001, section 5. Gupta and Ramdas, "Top-label calibration and multiclass-to-binary
        reductions", ICLR 2022, https://arxiv.org/abs/2107.08353 (the top-label event).
    """

    def fit(probs: Confidence, happened: Correct, weight: SampleWeight | None) -> tuple[Tensor, Tensor]:
        stats = sum_binned(probs.double(), happened, n_bins=n_bins, binning=binning, weight=weight)
        outer = torch.cat([stats.edges.new_zeros(1), stats.edges, stats.edges.new_ones(1)])
        return stats.edges, torch.where(stats.count > 0, stats.accuracy, 0.5 * (outer[:-1] + outer[1:]))

    return _fit("histogram", predictions, event, fit)


def _fit(method: str, predictions: Predictions, event: str, fit: Fit) -> BinaryScaling:
    check_choice("event", event, EVENTS)
    predictions = fit_data(predictions, method, several_classes=event == "one_vs_rest")
    weight = predictions.weight
    if event == "top_label":
        maps = [fit(predictions.confidence, predictions.correct, weight)]
    else:
        probs, labels = predictions.probs, predictions.labels
        maps = [fit(probs[:, k], labels == k, weight) for k in range(predictions.n_classes)]
    knots, values = zip(*maps, strict=True)
    return BinaryScaling(method, event, predictions.n_classes, tuple(knots), tuple(values))


def _with_top(probs: ProbMatrix, top: Tensor, confidence: Tensor) -> Tensor:
    """Set the top class to this confidence, and the rest in proportion unless that would overtake it.

    Where it would, the rest is mixed with the uniform distribution just enough: with a confidence of at least 1/C the
    uniform rest never overtakes.
    """
    others = probs.shape[1] - 1
    confidence = confidence.clamp_min(1 / (1 + others * (1 - LEAD)))[:, None]
    left = 1 - confidence
    rest = probs.scatter(1, top, 0.0)
    total = rest.sum(dim=1, keepdim=True)
    even = left / others
    rest = torch.where(total > 0, left * rest / total.clamp_min(1e-300), even)
    largest, allowed = rest.amax(dim=1, keepdim=True), confidence * (1 - LEAD)
    share = torch.where(largest > allowed, (largest - allowed) / (largest - even).clamp_min(1e-300), 0.0).clamp(
        0.0, 1.0
    )
    return ((1 - share) * rest + share * even).scatter(1, top, confidence)


def _maps(name: str, rows: object) -> tuple[Tensor, ...]:
    if not isinstance(rows, list):
        raise InvalidValueError(f"`{name}` must be a list with one list of numbers per map, got {shown(rows)}.")
    return tuple(as_numbers(name, row, ndim=1) for row in rows)


def _build(
    method: str, *, event: str, n_classes: int, knots: list[list[float]], values: list[list[float]]
) -> BinaryScaling:
    return BinaryScaling(method, event, n_classes, _maps("knots", knots), _maps("values", values))


BINARY_BUILDERS = {method: partial(_build, method) for method in METHODS}
