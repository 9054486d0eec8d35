# SPDX-License-Identifier: Apache-2.0
"""Every number at once: what `adafocal evaluate` prints.

The fields after ``n_bins`` and what is said of them are written by ``scripts/generated.py`` from ``catalogue.py``.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from adafocal._notebook import frame, table_html

if TYPE_CHECKING:
    from adafocal.calibration.measure import PredictionMeasure

from adafocal.calibration.verdict import Verdict


@dataclass(frozen=True)
class CalibrationSummary:
    """Accuracy, proper scores and calibration errors of predictions. Fractions, not percent; top-label unless named.

    Attributes:
        verdict: The answer in words, with what it rests on.
        n: Number of samples; of weighted ones those that count.
        n_effective: Effective number of samples: of weights w, (sum w)^2 / sum w^2.
        n_clusters: Number of clusters that rows belong to; 0 where rows stand for themselves.
        n_classes: Number of classes; 0 of outcomes, and of choices that each row has for itself.
        n_bins: Number of bins of every binned error but the sweep's.
        accuracy: Share of samples whose top label is right.
        accuracy_interval: 95 % Wilson interval of ``accuracy``.
        nll: Negative log-likelihood, nats per sample; infinite if a true class had probability 0.
        brier: Brier score summed over classes, in [0, 2].
        brier_calibration: The part of ``brier`` due to miscalibration, equal-mass bins.
        brier_refinement: The part of ``brier`` that perfect recalibration would leave.
        overconfidence: Mean confidence minus accuracy, in [-1, 1].
        overconfidence_interval: 95 % interval of ``overconfidence``, as :func:`overconfidence_interval` makes it.
        ece: Expected calibration error, equal-width bins, ``l1``: the number of most papers.
        ece_equal_mass: Expected calibration error, equal-mass bins, ``l1``.
        ece_debiased: ``ece_equal_mass`` less its expected noise.
        ece_sweep: Expected calibration error, as many equal-mass bins as the monotonic sweep finds.
        mce: Maximum calibration error, equal-width bins; noisy where a bin holds few samples.
        rms: Root mean square calibration error, equal-mass bins.
        rms_debiased: ``rms`` less its expected noise.
        rms_interval: 95 % interval of the root mean square calibration error, see :func:`rms_calibration_interval`.
        p_calibrated: P-value of the hypothesis that the model is calibrated, see :func:`calibration_test`.
        ks: Kolmogorov-Smirnov calibration error, no bins.
        smooth_ece: Smooth calibration error, no bins.
        classwise_ece: Calibration error of each class's probability, equal-width bins, averaged over classes.
        atb: Averaged two-bin calibration error, a mean of squares: smallest in expectation for the true probabilities.
    """

    verdict: Verdict
    n: int
    n_effective: float
    n_clusters: int
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
    atb: float

    def to_dict(self) -> dict[str, object]:
        """Turn into plain numbers and lists for JSON; an infinite value, which JSON cannot hold, becomes None."""
        return {name: for_json(value) for name, value in {**asdict(self), "verdict": self.verdict.to_dict()}.items()}

    def to_frame(self) -> Any:
        """Turn into a frame of pandas, else of polars: measure, value, and low and high of its interval or NaN.

        Raises:
            ModuleNotFoundError: If neither is installed, with what to install.
        """
        rows = [(name, getattr(self, name), *self._ends(measure.interval)) for name, measure in _catalogue().items()]
        return frame(dict(zip(("measure", "value", "low", "high"), zip(*rows, strict=True), strict=True)))

    def _ends(self, interval: str) -> tuple[float, float]:
        low, high = getattr(self, interval) if interval else (math.nan, math.nan)
        return low, high

    def _repr_html_(self) -> str:
        rows = []
        for name, measure in _catalogue().items():
            if measure.title:
                between = measure.between(*self._ends(measure.interval)) if measure.interval else ""
                rows.append((measure.title, measure.alone(getattr(self, name)), between))
        held = f"{self.n:,} samples, {self.n_classes} classes" if self.n_classes else f"{self.n:,} outcomes"
        return table_html(f"{held}. {self.verdict}", ("measure", "value", "95 % interval"), rows)


def _catalogue() -> "Mapping[str, PredictionMeasure]":
    from adafocal.calibration.catalogue import CATALOGUE  # whose functions give summaries

    return CATALOGUE


def for_json(value: object) -> object:
    """The same value with lists for tuples, and None for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {name: for_json(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [for_json(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
