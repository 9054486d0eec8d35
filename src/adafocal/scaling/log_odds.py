# SPDX-License-Identifier: Apache-2.0
"""Logistic calibration of two classes: Platt scaling, beta calibration and quadratic scaling."""

from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from adafocal._checks import check_choice, check_flag, check_number
from adafocal._shapes import SampleWeight
from adafocal._values import check_predictions
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.predictions import Predictions
from adafocal.scaling.files import Described, read_fitted
from adafocal.scaling.origin import described
from adafocal.scaling.scores import effective_rows, fit_data, same_kind, unmasked_scores

# How many numbers each multiplies, beside the offset.
SLOPES = {"platt": 1, "beta": 2, "quadratic": 2}
METHODS = tuple(SLOPES)
STEPS, TOLERANCE = 100, 1e-12
# Of standardised features: too little to be seen, but separable classes have an optimum by it.
RIDGE = 1e-8


@dataclass(frozen=True)
class LogOddsScaling(Described):
    """A fitted map of the log-odds of the second of two classes. It can change the predicted class.

    Attributes:
        method: ``platt``, ``beta`` or ``quadratic``.
        slopes: Factors of the features: of the log-odds s (``platt``), of log p and -log(1 - p) (``beta``), or of s
            and s² (``quadratic``).
        offset: What is added.

    Raises:
        TypeError: If a number is none.
        ValueError: If ``method`` is unknown, or numbers are too few, too many or not finite.
    """

    method: str
    slopes: tuple[float, ...]
    offset: float

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        if not isinstance(self.slopes, (tuple, list)):
            raise InvalidTypeError(f"`slopes` must be a tuple of numbers, got {type(self.slopes).__name__}.")
        object.__setattr__(self, "slopes", tuple(self.slopes))
        if len(self.slopes) != SLOPES[self.method]:
            raise InvalidValueError(
                f"`slopes` must be {SLOPES[self.method]} for {self.method} scaling, got {len(self.slopes)}."
            )
        for value in self.slopes:
            check_number("slopes", value)
        check_number("offset", self.offset)

    def apply(self, predictions: Predictions) -> Predictions:
        """Map the log-odds of the second class; the scores of the two become half of what comes out, and minus it.

        Args:
            predictions: N predictions of two classes.

        Returns:
            A new record of the same kind (logits stay logits, probabilities stay probabilities), labels and features.

        Raises:
            ValueError: If there are more than two classes, or one is masked (logit -inf).
        """
        self.check(predictions)
        _check_two_classes(predictions, self.method)
        features = _features(predictions, self.method)
        half = 0.5 * (features @ features.new_tensor(self.slopes) + self.offset)
        dtype = (predictions.logits if predictions.logits is not None else predictions.probs).dtype
        scores = torch.stack([-half, half], dim=1)
        return same_kind(predictions, scores.to(dtype if dtype == torch.float64 else torch.float32))

    def content(self) -> dict[str, Any]:
        """What its file holds."""
        return {"method": self.method, "slopes": list(self.slopes), "offset": self.offset}

    @classmethod
    def load(cls, path: str | Path) -> "LogOddsScaling":
        """Read what :meth:`save` wrote; errors are those of :func:`load_scaling`."""
        return read_fitted(path, LOG_ODDS_BUILDERS)


@described
def fit_platt(predictions: Predictions, *, smoothing: bool = True) -> LogOddsScaling:
    """Fit a straight line through the log-odds of two classes: temperature scaling with an offset.

    Use it for two classes whose shares are off as well as their confidence.

    Formula: P(y = 1) = sigmoid(a s + b), s = log p - log(1 - p), minimises the mean cross-entropy with the targets
    (N1 + 1) / (N1 + 2) for the second class and 1 / (N0 + 2) for the first.

    Args:
        predictions: At least 2 held-out predictions of two classes. Their weights count, and N0 + N1 is then
            (sum w)² / sum w².
        smoothing: Whether targets are as above, so that separable classes do not run off, or 1 and 0.

    Returns:
        The fitted map.

    Raises:
        TypeError: If ``smoothing`` is no bool.
        ValueError: If there are fewer than 2 samples, the labels name a single class, or classes are not two or masked.

    Example:
        >>> logits = torch.tensor([[0.0, 2.0], [0.0, 2.0], [0.0, 2.0], [2.0, 0.0], [2.0, 0.0]])
        >>> predictions = Predictions(logits=logits, labels=torch.tensor([1, 1, 0, 0, 1]))
        >>> fit_platt(predictions, smoothing=False).apply(predictions).probs[:, 1]
        tensor([0.6667, 0.6667, 0.6667, 0.5000, 0.5000])

    Reference:
        Platt, "Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods",
        Advances in Large Margin Classifiers, 1999.
    """
    check_flag("smoothing", smoothing)
    return _fit("platt", predictions, smoothing=smoothing)


@described
def fit_beta(predictions: Predictions) -> LogOddsScaling:
    """Fit beta calibration of two classes: the two tails of the probability are stretched apart.

    Formula: P(y = 1) = sigmoid(a log p - b log(1 - p) + c), with a, b >= 0, minimises the mean negative log-likelihood.
    With a = b it is Platt scaling of the log-odds, with a = b = 1 and c = 0 the identity. It never reverses the order.

    Args:
        predictions: At least 2 held-out predictions of two classes. Their weights count.

    Returns:
        The fitted map.

    Raises:
        ValueError: If there are fewer than 2 samples, the labels name a single class, or classes are not two or masked.

    Example:
        >>> probs = torch.tensor([[0.2, 0.8], [0.2, 0.8], [0.2, 0.8], [0.9, 0.1], [0.9, 0.1]])
        >>> predictions = Predictions(probs=probs, labels=torch.tensor([1, 1, 0, 0, 1]))
        >>> fit_beta(predictions).apply(predictions).probs[:, 1]
        tensor([0.6667, 0.6667, 0.6667, 0.5000, 0.5000])

    Reference:
        Kull, Silva Filho and Flach, "Beta calibration: a well-founded and easily implemented improvement on logistic
        calibration for binary classifiers", AISTATS 2017, sections 4 and 5.

    Differs from the paper: where a bound holds, of the fits that keep to it the likeliest is taken; the paper drops the
    feature whose factor came out negative, which is the same where one did.
    """
    return _fit("beta", predictions)


@described
def fit_quadratic(predictions: Predictions) -> LogOddsScaling:
    """Fit a parabola through the log-odds of two classes: what normal scores of unequal spread need.

    It may reverse the order of scores far out, so it needs more data than :func:`fit_platt`.

    Formula: P(y = 1) = sigmoid(a s + b s² + c), s = log p - log(1 - p), minimises the mean negative log-likelihood.

    Args:
        predictions: At least 2 held-out predictions of two classes. Their weights count.

    Returns:
        The fitted map.

    Raises:
        ValueError: If there are fewer than 2 samples, the labels name a single class, or classes are not two or masked.

    Example:
        >>> logits = torch.tensor([[0.0, 2.0], [0.0, 2.0], [0.0, 2.0], [2.0, 0.0], [2.0, 0.0]])
        >>> predictions = Predictions(logits=logits, labels=torch.tensor([1, 1, 0, 0, 1]))
        >>> len(fit_quadratic(predictions).slopes)
        2

    Reference:
        Berta, Holzmüller, Jordan and Bach, "Structured matrix scaling for multi-class calibration", AISTATS 2026,
        https://arxiv.org/abs/2511.03685, its binary case.
    """
    return _fit("quadratic", predictions)


def _fit(method: str, predictions: Predictions, *, smoothing: bool = False) -> LogOddsScaling:
    check_predictions("predictions", predictions)
    _check_two_classes(predictions, method)
    predictions = fit_data(predictions, method, several_classes=True)
    features, second = _features(predictions, method), predictions.labels.double()
    weight = torch.ones_like(second) if predictions.weight is None else predictions.weight.double()
    rows, share = effective_rows(weight), float(weight @ second / weight.sum())
    ones, zeros = rows * share, rows * (1 - share)
    targets = torch.where(second > 0, (ones + 1) / (ones + 2), 1 / (zeros + 2)) if smoothing else second
    weight = weight / weight.sum()
    # Of a convex loss with bounds at 0, the best is among the fits that hold each factor at 0 or free.
    held = product((True, False), repeat=2) if method == "beta" else [(True,) * features.shape[1]]
    fits = [_logistic(features, targets, weight, torch.tensor(free)) for free in held]
    allowed = [fit for fit in fits if method != "beta" or bool((fit[1] >= 0).all())]
    _, slopes, offset = min(allowed, key=lambda fit: fit[0])
    return LogOddsScaling(method, tuple(slopes.tolist()), offset)


def _logistic(features: Tensor, targets: Tensor, weight: SampleWeight, free: Tensor) -> tuple[float, Tensor, float]:
    """Logistic regression by Newton's steps, halved until they help: loss, slopes (0 where not free) and offset."""
    centre = weight @ features
    scale = (weight @ (features - centre).square()).sqrt()
    scale = torch.where(scale > 0, scale, 1.0)
    units = torch.cat([(features - centre) / scale * free, torch.ones(len(features), 1).to(features)], dim=1)
    ridge = torch.full((units.shape[1],), RIDGE).to(units)

    def loss(numbers: Tensor) -> float:
        z = units @ numbers
        return float(weight @ (softplus(z) - targets * z) + ridge @ numbers.square())

    at = torch.zeros_like(ridge)
    value = loss(at)
    for _ in range(STEPS):
        probs = (units @ at).sigmoid()
        slope = (weight * (probs - targets)) @ units + 2 * ridge * at
        curvature = (units * (weight * probs * (1 - probs))[:, None]).T @ units + (2 * ridge).diag()
        step, share = torch.linalg.solve(curvature, slope), 1.0
        while (reached := loss(at - share * step)) > value and share > TOLERANCE:
            share /= 2
        if reached > value:
            break
        at, value = at - share * step, reached
        if float(slope @ step) < TOLERANCE:
            break
    slopes = torch.where(free, at[:-1] / scale, 0.0)
    return value, slopes, float(at[-1] - slopes @ centre)


def _features(predictions: Predictions, method: str) -> Tensor:
    """What the slopes multiply, in float64, shape (N, number of slopes)."""
    log_probs = unmasked_scores(predictions, method).double().log_softmax(dim=1)
    odds = log_probs[:, 1] - log_probs[:, 0]
    if method == "beta":
        return torch.stack([log_probs[:, 1], -log_probs[:, 0]], dim=1)
    return odds[:, None] if method == "platt" else torch.stack([odds, odds.square()], dim=1)


def _check_two_classes(predictions: Predictions, method: str) -> None:
    if predictions.n_classes != 2:
        raise InvalidValueError(
            f"`predictions` must have 2 classes for {method} scaling, got {predictions.n_classes}: structured_vector "
            "takes any number."
        )


def _build(method: str, *, slopes: list[float], offset: float) -> LogOddsScaling:
    return LogOddsScaling(method, tuple(slopes) if isinstance(slopes, list) else slopes, offset)


LOG_ODDS_BUILDERS = {method: partial(_build, method) for method in METHODS}
