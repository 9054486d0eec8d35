# SPDX-License-Identifier: Apache-2.0
"""What is measured of an epoch, of a run, and after the best scaling."""

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from adafocal import Predictions
from adafocal.calibration import bin_stats, binned_error, evaluate
from adafocal.calibration.edges import equal_width_edges
from adafocal.scaling import Temperature, fit_dirichlet, fit_matrix, fit_temperature, fit_vector
from adafocal.scaling.remedy import WORTH
from adafocal.selective import aurc

Measure = Callable[..., dict[str, Any]]
FOLDS = 5
# From the simplest on. Penalties are stated, since choosing one takes eighteen fits; weaker ones lost to a temperature
# on a thousand rows of twenty classes.
SCALINGS: dict[str, Callable[[Predictions], Any]] = {
    "temperature": fit_temperature,
    "vector, 10": partial(fit_vector, regularization=10.0),
    "vector, 1": partial(fit_vector, regularization=1.0),
    "matrix, 300": partial(fit_matrix, regularization=300.0),
    "matrix, 100": partial(fit_matrix, regularization=100.0),
    "matrix, 30": partial(fit_matrix, regularization=30.0),
    "dirichlet, 100": partial(fit_dirichlet, regularization=100.0),
}


def followed(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Measure an epoch in a few milliseconds: error, NLL and ECE as trained, and NLL after the best temperature."""
    temperature = fit_temperature(Predictions(logits=logits, labels=labels)).temperature
    confidence, correct = logits.softmax(1).amax(1), logits.argmax(1) == labels
    return {
        "error": 1 - float(correct.double().mean()),
        "nll": float(F.cross_entropy(logits, labels)),
        "ece": float(binned_error(bin_stats(confidence, correct, equal_width_edges(15)))),
        "scaled_nll": float(F.cross_entropy(logits / temperature, labels)),
    }


def measured(
    predictions: Predictions, *, fitted_on: Predictions, temperature: Temperature | None = None
) -> dict[str, float]:
    """Measure as trained, and after a temperature that is fitted on other predictions, or was."""
    found = evaluate(predictions)
    temperature = temperature or fit_temperature(fitted_on)
    scaled = evaluate(temperature.apply(predictions))
    row = {"error": 1 - found.accuracy, "nll": found.nll, "ece": found.ece, "scaled_nll": scaled.nll}
    row |= {"scaled_ece": scaled.ece, "temperature": temperature.temperature, "brier": found.brier}
    row |= {"ece_equal_mass": found.ece_equal_mass, "overconfidence": found.overconfidence}
    row["aurc"] = area(predictions)
    return row


def area(predictions: Predictions) -> float:
    """Measure the area under the risk-coverage curve of the top confidence."""
    logits = predictions.logits
    return float(aurc(logits.softmax(1).amax(1), (logits.argmax(1) != predictions.labels).double()))


def thorough(predictions: Predictions, *, fitted_on: Predictions, best: str | None = None) -> dict[str, Any]:
    """Measure as trained, after a temperature, and after the scaling that is named or best on other predictions."""
    temperature = fit_temperature(fitted_on)
    row: dict[str, Any] = measured(predictions, fitted_on=fitted_on, temperature=temperature)
    row["scaled_aurc"] = area(temperature.apply(predictions))
    row["best"] = best or best_scaling(fitted_on)
    scaling = temperature if row["best"] == "temperature" else SCALINGS[row["best"]](fitted_on)
    scaled = scaling.apply(predictions)
    found = evaluate(scaled)
    row |= {"best_error": 1 - found.accuracy, "best_nll": found.nll, "best_ece": found.ece}
    return row | {"best_brier": found.brier, "best_aurc": area(scaled)}


def thorough_of_voxels(predictions: Predictions, *, fitted_on: Predictions) -> dict[str, Any]:
    """Measure voxels as other samples are, with a temperature for the best scaling, and their foreground by itself.

    The foreground are voxels that are predicted to be of any class but 0. Dice is pooled over cases, and its mean is
    taken over these classes.
    """
    row = thorough(predictions, fitted_on=fitted_on, best="temperature")
    scaled = fit_temperature(fitted_on).apply(predictions)
    for name, some in (("ece_foreground", predictions), ("best_ece_foreground", scaled)):
        found = some.predicted > 0
        row[name] = float(
            binned_error(bin_stats(some.confidence[found], some.correct[found], equal_width_edges(15)))
            if found.any()
            else float("nan")
        )
    predicted, labels = predictions.predicted, predictions.labels
    overlaps = [
        2 * float(((predicted == c) & (labels == c)).sum()) / max(1, int((predicted == c).sum() + (labels == c).sum()))
        for c in range(1, predictions.n_classes)
    ]
    return row | {"dice": sum(overlaps) / len(overlaps)}


def best_scaling(validation: Predictions) -> str:
    """Choose by out-of-fold negative log-likelihood the simplest that is within a standard error of the best.

    One that is behind by less than is worth a step is chosen too: between fits that are nearly the same, errors vanish.
    """
    n = validation.n
    folds = torch.randperm(n, generator=torch.Generator().manual_seed(0)) % FOLDS
    nats = {name: torch.zeros(n, dtype=torch.float64) for name in SCALINGS}
    for fold in range(FOLDS):
        out = folds == fold
        for name, fit in SCALINGS.items():
            scaled = fit(validation[~out]).apply(validation[out])
            nats[name][out] = F.cross_entropy(scaled.logits.double(), scaled.labels, reduction="none")
    best = min(nats.values(), key=lambda of_rows: float(of_rows.mean()))
    worth = WORTH * float(best.mean())
    behind = {name: of_rows - best for name, of_rows in nats.items()}
    return next(name for name, gap in behind.items() if float(gap.mean()) <= max(float(gap.std()) / sqrt(n), worth))
