# SPDX-License-Identifier: Apache-2.0
"""Focal temperature scaling: a temperature, then the map by which focal loss changes probabilities."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adafocal._checks import check_number
from adafocal._shapes import ProbMatrix
from adafocal.predictions import Predictions
from adafocal.scaling.files import Described, read_fitted
from adafocal.scaling.origin import described
from adafocal.scaling.scores import fit_data, same_kind, unmasked_scores
from adafocal.scaling.temperature import fit_temperature

LOW, HIGH = -0.5, 5.0  # of gamma: below, the order of classes need not be kept
MOST = 2**22  # numbers that are fitted to: two parameters need no more
STEPS, TOLERANCE = 60, 1e-6


@dataclass(frozen=True)
class FocalTemperature(Described):
    """A fitted temperature and focal parameter.

    Attributes:
        temperature: T > 0.
        gamma: Focal parameter in [-0.5, 5]; at 0 it is temperature scaling.

    Raises:
        TypeError: If a number is none.
        ValueError: If one is out of range.
    """

    temperature: float
    gamma: float

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, low=0.0, open_low=True)
        check_number("gamma", self.gamma, low=LOW, high=HIGH)

    def apply(self, predictions: Predictions) -> Predictions:
        """Divide the logits, or the log-probabilities, by the temperature, and map the probabilities.

        Args:
            predictions: N predictions of any number of classes.

        Returns:
            A new record of the same kind (logits stay logits, probabilities stay probabilities), labels and features.
            The predicted classes are the same.

        Raises:
            ValueError: If a class is masked (logit -inf).
        """
        self.check(predictions)
        scores = unmasked_scores(predictions, "focal_temperature")
        mapped = focal_map((scores.double() / self.temperature).log_softmax(dim=1), torch.tensor(self.gamma))
        return same_kind(predictions, mapped.log_softmax(dim=1).to(scores.dtype), keep_predicted=True)

    def content(self) -> dict[str, Any]:
        """What its file holds."""
        return {"method": "focal_temperature", "temperature": self.temperature, "gamma": self.gamma}

    @classmethod
    def load(cls, path: str | Path) -> "FocalTemperature":
        """Read what :meth:`save` wrote; errors are those of :func:`load_scaling`."""
        return read_fitted(path, {"focal_temperature": cls})


@described
def fit_focal_temperature(predictions: Predictions) -> FocalTemperature:
    """Fit a temperature together with the map by which focal loss changes probabilities, on held-out predictions.

    Use it where confidence is off by another amount at the top than below, and the predicted class is to stay.

    Formula: with q = softmax(z / T) and h(q) = q / ((1 - q)^gamma (1 - gamma q log q / (1 - q))), the probabilities
    h(q_k) / sum_j h(q_j) minimise the mean negative log-likelihood over T and gamma in [-0.5, 5]. h is -1 over the
    derivative of focal loss, so that a network which minimises focal loss of this gamma is mended by T = 1.

    Args:
        predictions: At least 2 held-out predictions; probabilities enter by their logarithms. Their weights count.
            Where N C exceeds 2^22 numbers it is fitted to evenly spaced rows.

    Returns:
        Temperature and gamma. Their negative log-likelihood on the rows fitted to is at most that of the temperature.

    Raises:
        ValueError: If there are fewer than 2 samples, or a class is masked (logit -inf).

    Example:
        >>> logits = torch.tensor([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
        >>> predictions = Predictions(logits=logits, labels=torch.tensor([0, 0, 1, 1]))
        >>> fit_focal_temperature(predictions).apply(predictions).confidence  # accuracy 3/4
        tensor([0.7500, 0.7500, 0.7500, 0.7500])

    Reference:
        Komisarenko and Kull, "Improving calibration by relating focal loss, temperature scaling, and properness",
        ECAI 2024, https://arxiv.org/abs/2408.11598, section 4.2.

    Differs from the paper: both numbers are found by a quasi-Newton method from temperature scaling on, not on a grid.
    """
    predictions = fit_data(predictions, "focal_temperature", several_classes=False)
    scores, each = unmasked_scores(predictions, "focal_temperature"), predictions.weight
    temperature = fit_temperature(predictions).temperature
    every = slice(None, None, -(-scores.numel() // MOST))
    scores, labels = scores[every].double() / temperature, predictions.labels[every]
    weight = torch.ones_like(scores[:, 0]) if each is None else each[every].to(scores)
    factor, gamma = _minimise(scores, labels, weight / weight.sum())
    return FocalTemperature(temperature / factor, gamma)


def focal_map(log_probs: ProbMatrix, gamma: Tensor) -> ProbMatrix:
    """Logarithms of the map h of probabilities, before they are made to sum to 1."""
    # 1 - q without cancellation; where q is 1, u is 1 by continuity.
    rest = -torch.expm1(log_probs.clamp_max(-1e-12))
    u = -log_probs.exp() * log_probs.clamp_max(-1e-12) / rest
    return log_probs - gamma * rest.log() - torch.log1p(gamma * u)


def _minimise(scores: ProbMatrix, labels: Tensor, weight: Tensor) -> tuple[float, float]:
    """Find the factor of the scores and gamma of least negative log-likelihood, from 1 and 0 on."""
    # gamma goes through a sigmoid, so that it stays in its range.
    start = math.log((0.0 - LOW) / (HIGH - 0.0))
    with torch.enable_grad():
        numbers = torch.tensor([0.0, start], dtype=scores.dtype, device=scores.device, requires_grad=True)
        solver = torch.optim.LBFGS(
            [numbers],
            max_iter=STEPS,
            tolerance_grad=TOLERANCE,
            tolerance_change=TOLERANCE,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Tensor:
            solver.zero_grad()
            gamma = LOW + (HIGH - LOW) * numbers[1].sigmoid()
            mapped = focal_map((scores * numbers[0].exp()).log_softmax(dim=1), gamma)
            at_label = mapped.gather(1, labels[:, None])[:, 0]
            value = weight @ (mapped.logsumexp(dim=1) - at_label)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        solver.step(closure)  # type: ignore[no-untyped-call]
    factor, share = numbers.detach()[0].exp(), numbers.detach()[1].sigmoid()
    return float(factor), float(LOW + (HIGH - LOW) * share)
