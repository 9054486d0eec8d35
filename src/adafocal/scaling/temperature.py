# SPDX-License-Identifier: Apache-2.0
"""Temperature scaling: one positive number that softens or sharpens every prediction and leaves its ranking alone."""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from adafocal._checks import check_choice, check_flag, check_integer, check_number
from adafocal._shapes import ProbMatrix, SampleWeight
from adafocal.calibration.cells import sum_binned
from adafocal.calibration.edges import SUM_ROUNDING
from adafocal.calibration.top_label import class_rows
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions
from adafocal.scaling.files import Described, read_fitted
from adafocal.scaling.origin import described
from adafocal.scaling.root import bracketed_root, few_newton_steps, nll_derivatives
from adafocal.scaling.scores import fit_data, log_scores, same_kind

CRITERIA = ("nll", "ece")
GRID = tuple(step / 10 for step in range(1, 101))
REACH = 1e3  # how far from the size of the logits the search goes, either way
NEAR = 1e-3  # step of log T that changes a likelihood by no more than a millionth
CHUNK = 2**22  # values that a temperature good enough to compare networks is fitted to


@dataclass(frozen=True)
class Temperature(Described):
    """A fitted temperature: divides logits by it.

    Attributes:
        temperature: T > 0; above 1 softens (the model was over-confident), below 1 sharpens.
        at_bound: Whether the search ended at its bound because the optimum is at zero (every label has the largest
            logit of its row) or at infinity (the logits know less about the labels than a uniform guess). More
            validation data is then better than this number.

    Raises:
        TypeError: If ``temperature`` is not a number.
        ValueError: If ``temperature`` is not positive and finite.
    """

    temperature: float
    at_bound: bool = False

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, low=0.0, open_low=True)
        check_flag("at_bound", self.at_bound)

    def apply(self, predictions: Predictions) -> Predictions:
        """Divide the logits, or the log-probabilities, by the temperature.

        Args:
            predictions: N predictions of any number of classes.

        Returns:
            A new record of the same kind (logits stay logits, probabilities stay probabilities), labels and features.
            The predicted classes are the same.

        Example:
            >>> sure = Predictions(logits=torch.tensor([[4.0, 0.0]]), labels=torch.tensor([0]))
            >>> Temperature(2.0).apply(sure).logits
            tensor([[2., 0.]])
        """
        self.check(predictions)
        return same_kind(predictions, log_scores(predictions) / self.temperature, keep_predicted=True)

    def content(self) -> dict[str, object]:
        """What its file holds."""
        return {"method": "temperature", "temperature": self.temperature, "at_bound": self.at_bound}

    @classmethod
    def load(cls, path: str | Path) -> "Temperature":
        """Read what :meth:`save` wrote; errors are those of :func:`load_scaling`."""
        return read_fitted(path, {"temperature": cls})


@described
def fit_temperature(predictions: Predictions, *, criterion: str = "nll", n_bins: int = 15) -> Temperature:
    """Fit one temperature on held-out predictions.

    Use it after training, on validation data that training did not see; it never changes the predicted class, so it
    mends over- or under-confidence that is about the same everywhere, and nothing else. It is not for test data.

    Formula: T minimises sum_i -log softmax(z_i / T)[y_i]. In 1/T this is convex, so the search over log T is for the
    one root of a monotone derivative, by Newton steps kept inside a shrinking bracket; it is exact to rounding. The
    bracket reaches from 1e-3 to 1e3 times the median margin between the two largest logits, and always holds 1, so
    logits multiplied by a constant give T multiplied by it.

    Args:
        predictions: At least 2 held-out predictions. Probabilities enter by their logarithms, zeros as the smallest
            positive number of their dtype. Their weights count.
        criterion: ``nll`` is the exact minimum of the negative log-likelihood; ``ece`` is the grid T = 0.1, 0.2 … 10
            of the focal-loss papers, with the smallest expected calibration error (the smaller T wins ties).
        n_bins: Equal-width bins of the ``ece`` criterion.

    Returns:
        The temperature, positive and finite. Exactly 1 where all logits of each row are equal, since no temperature
        matters then. With ``nll`` the negative log-likelihood of ``predictions`` never rises.

    Raises:
        ValueError: If there are fewer than 2 samples, the label of a row is a masked class (logit -inf), or an
            option is out of range.

    Example:
        >>> logits = torch.tensor([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
        >>> fitted = fit_temperature(Predictions(logits=logits, labels=torch.tensor([0, 0, 1, 1])))
        >>> round(fitted.temperature, 4)  # accuracy 3/4: confidence becomes 3/4 = sigmoid(3 / T)
        2.7307

    Reference:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017,
        https://arxiv.org/abs/1706.04599, section 4.2. Grid: Mukhoti et al., "Calibrating deep neural networks using
        focal loss", NeurIPS 2020, https://arxiv.org/abs/2002.09437, section 5, and its published code.

    Differs from the paper: Guo's code runs 50 L-BFGS steps from T = 1.5 and can leave the positive numbers.
    """
    check_choice("criterion", criterion, CRITERIA)
    check_integer("n_bins", n_bins, minimum=1)
    predictions = fit_data(predictions, "temperature", several_classes=False)
    if criterion == "ece":
        return Temperature(_grid_minimum(predictions, n_bins))
    scores = log_scores(predictions)
    at_label = scores.gather(1, predictions.labels[:, None])[:, 0]
    if at_label.isinf().any():
        row = int(at_label.isinf().nonzero()[0])
        raise InvalidValueError(
            f"`labels` must not be a masked class (logit -inf), got {predictions.labels[row]} in row {row}."
        )
    return _likeliest(scores, predictions.labels, predictions.weight)


def scaled_nll(predictions: Predictions) -> float:
    """Measure the negative log-likelihood that is left after temperature scaling: how much the model knows.

    Refine, then calibrate: by it a network is chosen, or stopped, for what no temperature mends, and its temperature is
    fitted afterwards. By the plain likelihood training ends as soon as over-confidence costs more than is learned.

    Formula: ``mean_i -log softmax(z_i / T)[y_i]``, with T fitted to the same rows, in-sample: one parameter, whose
    optimism is about 1 / (2 N) nats. Where N C exceeds 2^22 numbers T is fitted to evenly spaced rows, and the mean is
    still over all.

    Args:
        predictions: At least 2 validation predictions. Their weights count.

    Returns:
        Nats, lower is better; NaN where a logit is not finite (-inf for a masked class is), or a label is masked.

    Raises:
        ValueError: If there are fewer than 2 samples.

    Example:
        >>> logits = torch.tensor([[9.0, 0.0], [9.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
        >>> sure = Predictions(logits=logits, labels=torch.tensor([0, 0, 1, 1]))
        >>> round(scaled_nll(sure), 4)  # that of a coin which shows 3/4, where the plain one is 2.25
        0.5623

    Reference:
        Berta, Holzmüller, Jordan and Bach, "Rethinking early stopping: refine, then calibrate", 2025,
        https://arxiv.org/abs/2501.19195.
    """
    predictions = fit_data(predictions, "temperature", several_classes=False)
    return nll_left(log_scores(predictions), predictions.labels, predictions.weight)


def nll_left(scores: ProbMatrix, labels: Tensor, weight: SampleWeight | None = None) -> float:
    """Compute :func:`scaled_nll` of log-scores, (N, C), and labels, (N,)."""
    at_label = scores.gather(1, labels[:, None])
    if scores.isnan().any() or (scores == math.inf).any() or at_label.isinf().any():
        return math.nan
    every = slice(None, None, -(-scores.numel() // CHUNK))
    some = scores[every], labels[every], None if weight is None else weight[every]
    temperature = _likeliest(*some, tolerance=NEAR).temperature
    each = torch.nn.functional.cross_entropy(scores / temperature, labels, reduction="none").double()
    return float(each.mean() if weight is None else (each @ weight.double()) / weight.double().sum())


def _likeliest(
    scores: ProbMatrix, labels: Tensor, weight: SampleWeight | None, *, tolerance: float = 1e-13
) -> Temperature:
    """Find the temperature of least negative log-likelihood; 1 where it makes no difference."""
    margin = _median_margin(scores, weight)
    if margin == 0.0:
        return Temperature(1.0)
    low, high = min(margin / REACH, 1.0), max(margin * REACH, 1.0)
    return _minimise(scores, labels, weight, low, high, tolerance)


def _median_margin(scores: ProbMatrix, weight: SampleWeight | None = None) -> float:
    """Measure the logits as it matters for a temperature: robust to masks such as -1e9; 0 if all are equal."""
    shifted = scores - scores.amax(dim=1, keepdim=True)
    margins = -shifted.topk(2, dim=1).values[:, 1].double()
    for candidates in (margins, -shifted.double()):
        counted = (candidates > 0) & candidates.isfinite()
        held = candidates[counted]
        if held.numel() and weight is not None:
            of_row = weight.double().view(-1, *[1] * (candidates.ndim - 1)).expand_as(candidates)
            return _weighted_median(held, of_row[counted])
        if held.numel():
            return float(held.median())
    return 0.0


def _weighted_median(values: Tensor, weight: Tensor) -> float:
    """The lower median of values repeated so often."""
    ordered, order = values.sort()
    cumulative = weight[order].cumsum(0)
    return float(ordered[torch.searchsorted(cumulative, cumulative[-1:] / 2 * (1 - SUM_ROUNDING))])


def _minimise(
    scores: ProbMatrix, labels: Tensor, weight: SampleWeight | None, low: float, high: float, tolerance: float
) -> Temperature:
    """Find the root in x = log(1/T) of the derivative of the mean negative log-likelihood by 1/T, which rises in x."""
    scores = class_rows(scores, 1)
    lower, upper = -math.log(high), -math.log(low)
    start = min(max(0.0, lower), upper)

    def derivatives(x: float, *, rough: bool = False) -> tuple[float, float]:
        return nll_derivatives(scores, labels, weight, math.exp(x), rough=rough)

    root = few_newton_steps(derivatives, partial(derivatives, rough=True), start, lower, upper, tolerance)
    if root is not None:
        return Temperature(math.exp(-root))
    if derivatives(lower)[0] >= 0:
        return Temperature(high, at_bound=True)
    if derivatives(upper)[0] <= 0:
        return Temperature(low, at_bound=True)
    return Temperature(math.exp(-bracketed_root(derivatives, start, lower, upper, tolerance)))


def _grid_minimum(predictions: Predictions, n_bins: int) -> float:
    scores = log_scores(predictions)
    shifted = scores - scores.amax(dim=1, keepdim=True)
    errors = []
    for temperature in GRID:
        confidence = (shifted / temperature).exp().sum(dim=1).reciprocal()
        stats = sum_binned(
            confidence, predictions.correct, n_bins=n_bins, binning="equal_width", weight=predictions.weight
        )
        errors.append(float(stats.compute()))
    return GRID[errors.index(min(errors))]
