# SPDX-License-Identifier: Apache-2.0
"""Structured matrix and vector scaling: an affine map of the log-probabilities whose penalty is known from the size."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adafocal._checks import check_choice, check_number
from adafocal._shapes import ProbMatrix
from adafocal.predictions import Predictions
from adafocal.scaling.files import Described, as_numbers, read_fitted
from adafocal.scaling.origin import described
from adafocal.scaling.regression import Affine, as_weight, check_map, check_n_classes, fit_regression, mapped
from adafocal.scaling.scores import effective_rows, fit_data, same_kind, unmasked_scores
from adafocal.scaling.temperature import fit_temperature

METHODS = ("structured_vector", "structured_matrix")
TOLERANCE = 1e-8  # nats per row; the field's own solvers end at 1e-5


@dataclass(frozen=True, eq=False)
class StructuredScaling(Described):
    """A fitted temperature and an affine map after it. It can change the predicted class.

    Attributes:
        method: ``structured_vector`` or ``structured_matrix``.
        temperature: T > 0.
        uniform: Share of the uniform distribution that is mixed in after the temperature, in [0, 1).
        weight: Matrix W, float64, shape (C, C); diagonal for ``structured_vector``.
        bias: Vector b, float64, shape (C,).

    Raises:
        TypeError: If ``temperature`` or ``uniform`` is not a number.
        ValueError: If ``method`` is unknown, shapes do not fit, or a number is out of range or not finite.
    """

    method: str
    temperature: float
    uniform: float
    weight: Tensor
    bias: Tensor

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_number("temperature", self.temperature, low=0.0, open_low=True)
        check_number("uniform", self.uniform, low=0.0, high=1.0, open_high=True)
        check_map(self.method, self.weight, self.bias)

    def apply(self, predictions: Predictions) -> Predictions:
        """Map log-probabilities z after temperature and mixing to W z + b.

        Args:
            predictions: N predictions with the number of classes that the scaling was fitted on.

        Returns:
            A new record of the same kind (logits stay logits, probabilities stay probabilities), labels and features.

        Raises:
            ValueError: If the number of classes differs, or a class is masked (logit -inf).
        """
        self.check(predictions)
        check_n_classes(predictions, self.bias)
        scores = unmasked_scores(predictions, self.method)
        z = mixed_scores(scores, self.temperature, self.uniform)
        scaled = mapped(z, self.weight, self.bias, diagonal=self.method == "structured_vector")
        return same_kind(predictions, scaled.to(scores.dtype))

    def content(self) -> dict[str, Any]:
        """What its file holds."""
        diagonal = self.method == "structured_vector"
        weight = self.weight.diagonal().tolist() if diagonal else self.weight.tolist()
        numbers = {"temperature": self.temperature, "uniform": self.uniform, "weight": weight}
        return {"method": self.method, **numbers, "bias": self.bias.tolist()}

    @classmethod
    def load(cls, path: str | Path) -> "StructuredScaling":
        """Read what :meth:`save` wrote; errors are those of :func:`load_scaling`."""
        return read_fitted(path, STRUCTURED_BUILDERS)


@described
def fit_structured_vector(predictions: Predictions, *, regularization: float | None = None) -> StructuredScaling:
    """Fit one factor and one offset per class after a temperature, with the penalty of structured vector scaling, SVS.

    Use it where classes are over-confident to different degrees, from some thousand samples on; its penalty is known
    from the numbers of rows and classes, so one fit is enough. On fewer rows temperature scaling is often better:
    ``adafocal scale fit --method auto`` finds out.

    Formula: softmax(w * z + b), where z = log((1 - u) softmax(scores / T) + u / C), T is the fitted temperature and
    u = 1 / (N + 1), minimises the mean negative log-likelihood + C / N * (sum((w - 1)²) + sum(b²)).

    Args:
        predictions: At least 2 held-out predictions; probabilities enter by their logarithms. Their weights count,
            and N is then (sum w)² / sum w².
        regularization: In place of C / N; u is then what belongs to N = C / regularization.

    Returns:
        The fitted map, the same for logits and for their probabilities.

    Raises:
        ValueError: If there are fewer than 2 samples or classes among the labels, a class is masked, or
            ``regularization`` is out of range.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
        >>> predictions = Predictions(logits=logits, labels=torch.tensor([0, 1, 1, 1, 0]))
        >>> fit_structured_vector(predictions).apply(predictions).probs[:, 0]
        tensor([0.5432, 0.5432, 0.3773, 0.3773, 0.3773])

    Reference:
        Berta, Holzmüller, Jordan and Bach, "Structured matrix scaling for multi-class calibration", AISTATS 2026,
        https://arxiv.org/abs/2511.03685, with its ridge penalty and exponents rho = tau = lambda = 1.

    Differs from the paper: only the solver.
    """
    return _fit("structured_vector", predictions, regularization)


@described
def fit_structured_matrix(predictions: Predictions, *, regularization: float | None = None) -> StructuredScaling:
    """Fit a full affine map after a temperature, with the penalty of structured matrix scaling (SMS).

    Use it where classes are confused systematically, from some thousand samples on; what is off the diagonal is pulled
    to 0 by C - 1 times as much as the rest, so that it stays small until there is much data. On fewer rows temperature
    scaling is often better: ``adafocal scale fit --method auto`` finds out.

    Formula: softmax(W z + b), with z as in :func:`fit_structured_vector`, minimises the mean negative log-likelihood +
    C / N * (sum_i (W_ii - 1)² + sum(b²) + (C - 1) * sum_{i≠j} W_ij²).

    Args:
        predictions: As in :func:`fit_structured_vector`.
        regularization: As in :func:`fit_structured_vector`.

    Returns:
        The fitted map, the same for logits and for their probabilities.

    Raises:
        ValueError: As :func:`fit_structured_vector`.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
        >>> fit_structured_matrix(Predictions(logits=logits, labels=torch.tensor([0, 1, 1, 1, 0]))).weight.shape
        torch.Size([2, 2])

    Reference:
        Berta, Holzmüller, Jordan and Bach, "Structured matrix scaling for multi-class calibration", AISTATS 2026,
        https://arxiv.org/abs/2511.03685, with its ridge penalty and exponents rho = tau = lambda = 1.

    Differs from the paper: only the solver.
    """
    return _fit("structured_matrix", predictions, regularization)


def structured_ridge(scores: ProbMatrix, rows: float, diagonal: bool, regularization: float | None = None) -> Affine:
    """The penalty of structured scaling for so many rows, for :func:`fit_regression`."""
    c = scores.shape[1]
    of_one = c / rows if regularization is None else regularization
    bias = scores.new_full((c,), of_one)
    factors = bias if diagonal else scores.new_full((c, c), of_one * (c - 1)).fill_diagonal_(of_one)
    return Affine(factors, bias)


def mixed_scores(scores: ProbMatrix, temperature: float, uniform: float) -> ProbMatrix:
    """Log-probabilities in float64 at a temperature, with a share of the uniform distribution."""
    probs = (scores.double() / temperature).softmax(dim=1)
    probs.mul_(1 - uniform).add_(uniform / scores.shape[1])
    return probs.clamp_min_(torch.finfo(torch.float32).tiny).log_()


def _fit(method: str, predictions: Predictions, regularization: float | None) -> StructuredScaling:
    if regularization is not None:
        check_number("regularization", regularization, low=0.0)
    predictions = fit_data(predictions, method, several_classes=True)
    scores, c = unmasked_scores(predictions, method), predictions.n_classes
    temperature = fit_temperature(predictions).temperature
    rows = float(predictions.n) if predictions.weight is None else effective_rows(predictions.weight)
    of_one = c / rows if regularization is None else regularization
    uniform = of_one / (c + of_one)  # 1 / (N + 1)
    z = mixed_scores(scores, temperature, uniform)
    each = None if predictions.weight is None else predictions.weight.to(z)
    ridge = structured_ridge(z, rows, method == "structured_vector", regularization)
    factors, bias = fit_regression(z, predictions.labels, ridge, each, tolerance=TOLERANCE)
    return StructuredScaling(method, temperature, uniform, as_weight(factors), bias)


def _build(
    method: str, *, temperature: float, uniform: float, weight: list[list[float]] | list[float], bias: list[float]
) -> StructuredScaling:
    diagonal = method == "structured_vector"
    numbers = as_numbers("weight", weight, ndim=1 if diagonal else 2)
    full = numbers.diag() if diagonal else numbers
    return StructuredScaling(method, temperature, uniform, full, as_numbers("bias", bias, ndim=1))


STRUCTURED_BUILDERS = {method: partial(_build, method) for method in METHODS}
