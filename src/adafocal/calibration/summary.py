# SPDX-License-Identifier: Apache-2.0
"""Every number at once: what `adafocal evaluate` prints."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from adafocal._values import check_predictions
from adafocal.calibration.bins import sum_events
from adafocal.calibration.classwise import check_positive_class, class_event, classes_error
from adafocal.calibration.consistency import event_test
from adafocal.calibration.errors import BINNINGS, error_of_bins, make_edges
from adafocal.calibration.intervals import mean_interval, rms_interval
from adafocal.calibration.kolmogorov_smirnov import largest_drift
from adafocal.calibration.reliability import score_interval
from adafocal.calibration.scores import mean_gap, mean_nll, mean_square, split_score
from adafocal.calibration.smooth import smoothed_gap
from adafocal.calibration.sweep import sweep_error
from adafocal.predictions import Predictions

LEVEL = 0.95


@dataclass(frozen=True)
class CalibrationSummary:
    """Accuracy, proper scores and calibration errors of predictions. Fractions, not percent; top-label unless named.

    Attributes:
        n: Number of samples.
        n_classes: Number of classes.
        n_bins: Number of bins of every binned error but the sweep's.
        accuracy: Share of samples whose top label is right.
        accuracy_interval: 95 % Wilson interval of ``accuracy``.
        nll: Negative log-likelihood, nats per sample; infinite if a true class had probability 0.
        brier: Brier score summed over classes, in [0, 2].
        brier_calibration: The part of ``brier`` due to miscalibration, equal-mass bins.
        brier_refinement: The part of ``brier`` that perfect recalibration would leave.
        overconfidence: Mean confidence minus accuracy, in [-1, 1].
        overconfidence_interval: 95 % interval of ``overconfidence``, as
            :func:`~adafocal.calibration.overconfidence_interval` makes it.
        ece: Expected calibration error, equal-width bins, ``l1``: the number of most papers.
        ece_equal_mass: The same in equal-mass bins.
        ece_debiased: ``ece_equal_mass`` less its expected noise.
        ece_sweep: The same with the number of bins found by the monotonic sweep.
        mce: Maximum calibration error, equal-width bins; noisy where a bin holds few samples.
        rms: Root mean square calibration error, equal-mass bins.
        rms_debiased: ``rms`` less its expected noise.
        rms_interval: 95 % interval of the root mean square calibration error, see :func:`rms_calibration_interval`.
        p_calibrated: P-value of the hypothesis that the model is calibrated, see :func:`calibration_test`.
        ks: Kolmogorov-Smirnov calibration error, no bins.
        smooth_ece: Smooth calibration error, no bins.
        classwise_ece: Calibration error of each class's probability, equal-width bins, averaged over classes.
    """

    n: int
    n_classes: int
    n_bins: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    nll: float
    brier: float
    brier_calibration: float
    brier_refinement: float
    overconfidence: float
    overconfidence_interval: tuple[float, float]
    ece: float
    ece_equal_mass: float
    ece_debiased: float
    ece_sweep: float
    mce: float
    rms: float
    rms_debiased: float
    rms_interval: tuple[float, float]
    p_calibrated: float
    ks: float
    smooth_ece: float
    classwise_ece: float

    def to_dict(self) -> dict[str, object]:
        """Give plain numbers and lists for JSON; an infinite value, which JSON cannot hold, becomes None."""
        return {name: _for_json(value) for name, value in asdict(self).items()}


def evaluate(predictions: Predictions, *, n_bins: int = 15, positive_class: int | None = None) -> CalibrationSummary:
    """Measure accuracy, proper scores and calibration of predictions.

    The calibrated event is that the top label is right, except for ``classwise_ece`` and the parts of the Brier score,
    where it is that the label is each class in turn.

    Args:
        predictions: Probabilities or logits with the labels.
        n_bins: Number of bins of every binned error but the sweep's.
        positive_class: Calibrate the event that the label is this class, in place of "the top label is right"; all but
            ``accuracy`` that speak of the top label then speak of it.

    Returns:
        The summary, plain numbers.

    Raises:
        TypeError: If ``n_bins`` or ``positive_class`` is not an integer.
        ValueError: If ``n_bins`` is below 1, or there is no class ``positive_class``.

    Example:
        >>> import torch
        >>> probs, labels = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([0, 0])
        >>> summary = evaluate(Predictions(probs=probs, labels=labels))
        >>> summary.accuracy, round(summary.overconfidence, 4)
        (0.5, 0.35)
    """
    check_predictions("predictions", predictions)
    probs, labels, correct = predictions.probs, predictions.labels, predictions.correct
    confidence = probs.amax(dim=1).clamp(max=1.0)
    if positive_class is not None:
        check_positive_class(positive_class, probs.shape[1])
        confidence, correct = class_event(probs, labels, positive_class)
    equal_width, equal_mass = (
        sum_events(confidence, correct, make_edges(confidence, n_bins=n_bins, binning=binning)) for binning in BINNINGS
    )
    accuracy = predictions.correct.to(equal_mass.confidence_sum).mean()
    parts = split_score(probs, labels, n_bins=n_bins)
    numbers = {
        "accuracy": accuracy,
        "nll": mean_nll(predictions.log_probs, labels),
        "brier": mean_square(probs, labels),
        "brier_calibration": parts.calibration,
        "brier_refinement": parts.refinement,
        "overconfidence": mean_gap(confidence, correct),
        "ece": error_of_bins(equal_width),
        "ece_equal_mass": error_of_bins(equal_mass),
        "ece_debiased": error_of_bins(equal_mass, debias=True),
        "ece_sweep": sweep_error(confidence, correct),
        "mce": error_of_bins(equal_width, norm="max"),
        "rms": error_of_bins(equal_mass, norm="l2"),
        "rms_debiased": error_of_bins(equal_mass, norm="l2", debias=True),
        "p_calibrated": event_test(confidence, correct, n_bins=n_bins),
        "ks": largest_drift(confidence, correct),
        "smooth_ece": smoothed_gap(confidence, correct),
        "classwise_ece": classes_error(probs, labels, n_bins=n_bins),
    }
    intervals = {
        "accuracy_interval": score_interval(accuracy[None], equal_mass.count.sum()[None], level=LEVEL),
        "overconfidence_interval": mean_interval(confidence, correct, level=LEVEL),
        "rms_interval": rms_interval(equal_mass, level=LEVEL),
    }
    values: dict[str, Any] = {name: float(number) for name, number in numbers.items()}
    values |= {name: (float(low), float(high)) for name, (low, high) in intervals.items()}
    return CalibrationSummary(n=predictions.n, n_classes=predictions.n_classes, n_bins=n_bins, **values)


def _for_json(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
