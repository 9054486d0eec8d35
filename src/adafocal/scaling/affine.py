# SPDX-License-Identifier: Apache-2.0
"""Vector, matrix and Dirichlet scaling: an affine map of the class scores before the softmax."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from adafocal._checks import check_choice, check_number
from adafocal._shapes import ClassIndex, ProbMatrix, SampleWeight
from adafocal._values import check_predictions
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions
from adafocal.scaling.files import Described, as_numbers, read_fitted
from adafocal.scaling.origin import described
from adafocal.scaling.regression import Affine, as_weight, check_map, check_n_classes, fit_regression, mapped
from adafocal.scaling.scores import effective_rows, fit_data, same_kind, unmasked_scores
from adafocal.scaling.structured import structured_ridge
from adafocal.scaling.temperature import fit_temperature

METHODS = ("vector", "matrix", "dirichlet")
GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
FOLDS = 3
MOST_CROSS_VALIDATED = 2**21  # rows times numbers fitted: of more, eighteen fits take too long
TOLERANCE = 1e-12  # nats per row


@dataclass(frozen=True, eq=False)
class AffineScaling(Described):
    """A fitted affine map of class scores. It can change the predicted class.

    Attributes:
        method: ``vector``, ``matrix`` or ``dirichlet``.
        kind: What it was fitted on and applies to: ``logits`` or ``probs`` (by their logarithms).
        weight: Matrix W, float64, shape (C, C); diagonal for ``vector``.
        bias: Vector b, float64, shape (C,).

    Raises:
        ValueError: If ``method`` or ``kind`` is unknown, shapes do not fit, or a number is not finite.
    """

    method: str
    kind: str
    weight: Tensor
    bias: Tensor

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        check_choice("kind", self.kind, ("logits", "probs"))
        check_map(self.method, self.weight, self.bias)

    def apply(self, predictions: Predictions) -> Predictions:
        """Map the logits z, or the log-probabilities, to W z + b.

        Args:
            predictions: N predictions of the kind and number of classes that the scaling was fitted on.

        Returns:
            A new record of the same kind, labels and features.

        Raises:
            ValueError: If the kind or the number of classes differs, or a class is masked (logit -inf).
        """
        self.check(predictions)
        check_n_classes(predictions, self.bias)
        if predictions.kind != self.kind:
            raise InvalidValueError(f"`predictions` must hold {self.kind} as when fitted, got {predictions.kind}.")
        scores = _class_scores(predictions, self.method)
        scaled = mapped(scores.double(), self.weight, self.bias, diagonal=self.method == "vector")
        return same_kind(predictions, scaled.to(scores.dtype))

    def content(self) -> dict[str, object]:
        """What its file holds."""
        numbers = {"weight": self.weight.tolist(), "bias": self.bias.tolist()}
        return {"method": self.method, "kind": self.kind, **numbers}

    @classmethod
    def load(cls, path: str | Path) -> "AffineScaling":
        """Read what :meth:`save` wrote; errors are those of :func:`load_scaling`."""
        return read_fitted(path, AFFINE_BUILDERS)


@described
def fit_vector(predictions: Predictions, *, regularization: float | None = None) -> AffineScaling:
    """Fit one factor and one offset per class on held-out predictions.

    Use it where classes are over-confident to different degrees and there are some hundred samples of each.

    Formula: softmax(w * z / T + b) minimises the mean negative log-likelihood + regularization * (mean((w - 1)²) +
    mean(b²)), with T the fitted temperature. So the penalty pulls towards temperature scaling, which it is at infinity.

    Args:
        predictions: At least 2 held-out predictions; probabilities enter by their logarithms. Their weights count.
        regularization: Weight of the penalty, at least 0; None takes the one of 0.001, 0.01 … 100 with the smallest
            negative log-likelihood in 3-fold cross-validation. Folds are of rows, so that a weight is in one of them:
            repeated rows may lie in several, and lead to another penalty. Where the rows times the numbers fitted
            exceed 2^21, None takes the penalty of :func:`fit_structured_vector`, which needs no choice.

    Returns:
        The fitted map. Its negative log-likelihood on ``predictions`` is at most that of temperature scaling.

    Raises:
        ValueError: If there are fewer than 2 samples or classes among the labels, a class is masked, or
            ``regularization`` is out of range.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
        >>> predictions = Predictions(logits=logits, labels=torch.tensor([0, 1, 1, 1, 0]))
        >>> fitted = fit_vector(predictions, regularization=0.0)
        >>> fitted.apply(predictions).probs[:, 0]
        tensor([0.5000, 0.5000, 0.3333, 0.3333, 0.3333])

    Reference:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017,
        https://arxiv.org/abs/1706.04599, section 4.2.

    Differs from the paper: the penalty, so that classes which no label names do not run off.
    """
    return _fit("vector", predictions, regularization)


@described
def fit_matrix(predictions: Predictions, *, regularization: float | None = None) -> AffineScaling:
    """Fit a full affine map of the logits on held-out predictions.

    Use it only with many samples per pair of classes that get confused; it has C² + C numbers.

    Formula: softmax(W z / T + b) minimises the mean negative log-likelihood + regularization * (mean((W - I)²) +
    mean(b²)), with T the fitted temperature. So the penalty pulls towards temperature scaling, which it is at infinity.

    Args:
        predictions: At least 2 held-out predictions with logits; :func:`fit_dirichlet` takes probabilities.
        regularization: As in :func:`fit_vector`; beyond 2^21 the penalty of :func:`fit_structured_matrix`.

    Returns:
        The fitted map. Its negative log-likelihood on ``predictions`` is at most that of temperature scaling.

    Raises:
        ValueError: As :func:`fit_vector`, or if ``predictions`` holds probabilities.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
        >>> fit_matrix(Predictions(logits=logits, labels=torch.tensor([0, 1, 1, 1, 0]))).weight.shape
        torch.Size([2, 2])

    Reference:
        Kull et al., "Beyond temperature scaling: obtaining well-calibrated multiclass probabilities with Dirichlet
        calibration", NeurIPS 2019, https://arxiv.org/abs/1910.12656, section 4 (off-diagonal and intercept
        regularisation).

    Differs from the paper: there the penalty spares the diagonal, and two numbers weigh its two parts.
    """
    check_predictions("predictions", predictions)
    if predictions.kind != "logits":
        raise InvalidValueError(
            "`predictions` must hold logits for matrix scaling, got probs: Dirichlet scaling takes those."
        )
    return _fit("matrix", predictions, regularization)


@described
def fit_dirichlet(predictions: Predictions, *, regularization: float | None = None) -> AffineScaling:
    """Fit a full affine map of the log-probabilities on held-out predictions.

    Formula: as :func:`fit_matrix`, with z = log p; for probabilities of any origin.

    Args:
        predictions: At least 2 held-out predictions; logits enter by their log-softmax.
        regularization: As in :func:`fit_matrix`.

    Returns:
        The fitted map. Its negative log-likelihood on ``predictions`` is at most that of temperature scaling.

    Raises:
        ValueError: As :func:`fit_vector`.

    Example:
        >>> probs = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8], [0.2, 0.8]])
        >>> fit_dirichlet(Predictions(probs=probs, labels=torch.tensor([0, 1, 1, 1, 0]))).kind
        'probs'

    Reference:
        Kull et al., "Beyond temperature scaling: obtaining well-calibrated multiclass probabilities with Dirichlet
        calibration", NeurIPS 2019, https://arxiv.org/abs/1910.12656, section 4.

    Differs from the paper: as :func:`fit_matrix`.
    """
    return _fit("dirichlet", predictions, regularization)


def _fit(method: str, predictions: Predictions, regularization: float | None) -> AffineScaling:
    if regularization is not None:
        check_number("regularization", regularization, low=0.0)
    predictions = fit_data(predictions, method, several_classes=True)
    scores = unmasked_scores(predictions, method)
    temperature = fit_temperature(predictions).temperature
    units, diagonal = scores.double() / temperature, method == "vector"
    if method == "dirichlet":
        units = scores.double().log_softmax(dim=1) / temperature
    each = None if predictions.weight is None else predictions.weight.to(units)
    n, c = units.shape
    if regularization is None and n * c * (2 if diagonal else c + 1) > MOST_CROSS_VALIDATED:
        rows = float(n) if each is None else effective_rows(each)
        weight, bias = _minimum(units, predictions.labels, structured_ridge(units, rows, diagonal), each)
    else:
        if regularization is None:
            regularization = _cross_validated(units, predictions.labels, diagonal, each)
        weight, bias = _minimise(units, predictions.labels, regularization, diagonal, each)
    return AffineScaling(method, predictions.kind, weight / temperature, bias)


def _class_scores(predictions: Predictions, method: str) -> ProbMatrix:
    scores = unmasked_scores(predictions, method)
    return scores.log_softmax(dim=1) if method == "dirichlet" else scores


def _minimise(
    units: Tensor, labels: ClassIndex, regularization: float, diagonal: bool, each: SampleWeight | None = None
) -> tuple[Tensor, Tensor]:
    """Minimise the negative log-likelihood with a penalty on mean squares."""
    c = units.shape[1]
    factors = units.new_full((c,) if diagonal else (c, c), regularization)
    ridge = Affine(factors / factors.numel(), units.new_full((c,), regularization / c))
    return _minimum(units, labels, ridge, each)


def _minimum(units: Tensor, labels: ClassIndex, ridge: Affine, each: SampleWeight | None) -> tuple[Tensor, Tensor]:
    """Weight and bias of the least penalised negative log-likelihood."""
    factors, bias = fit_regression(units, labels, ridge, each, tolerance=TOLERANCE)
    return as_weight(factors), bias


def _cross_validated(units: Tensor, labels: ClassIndex, diagonal: bool, each: SampleWeight | None = None) -> float:
    """Choose the penalty of the grid with the smallest negative log-likelihood on folds left out."""
    n = len(labels)
    # A seed of its own: equal predictions give an equal fit, whatever was drawn before.
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0)).to(labels.device)
    folds = min(FOLDS, n)
    totals = []
    for regularization in GRID:
        total = 0.0
        for fold in range(folds):
            left_out = torch.zeros(n, dtype=torch.bool, device=labels.device)
            left_out[order[fold::folds]] = True
            kept = ~left_out
            theirs = () if each is None else (each[kept],)
            weight, bias = _minimise(units[kept], labels[kept], regularization, diagonal, *theirs)
            losses = cross_entropy(units[left_out] @ weight.T + bias, labels[left_out], reduction="none")
            total += float(losses.sum() if each is None else each[left_out] @ losses)
        totals.append(total)
    return GRID[totals.index(min(totals))]


def _build(method: str, *, kind: str, weight: list[list[float]], bias: list[float]) -> AffineScaling:
    return AffineScaling(method, kind, as_numbers("weight", weight, ndim=2), as_numbers("bias", bias, ndim=1))


AFFINE_BUILDERS = {method: partial(_build, method) for method in METHODS}
