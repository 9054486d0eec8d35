# SPDX-License-Identifier: Apache-2.0
"""Proper scores and the signed gap: negative log-likelihood, Brier score and its parts, over-confidence."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._docs import documented
from adafocal._dtypes import wide_dtype
from adafocal._shapes import ClassIndex, Confidence, Correct, Given, ProbMatrix, SampleWeight, Scalar
from adafocal._values import (
    check_class_indices,
    check_log_distributions,
    check_not_empty,
    checked_sample_weight,
    counted_samples,
    weighted_classes,
    weighted_event,
)
from adafocal.calibration.cells import sum_binned
from adafocal.calibration.intervals import mean_interval
from adafocal.calibration.measure import COST, GOOD, LEVEL, ON_AVERAGE, PredictionMeasure
from adafocal.calibration.reliability import score_interval
from adafocal.calibration.sums import PredictionSums, SumsInMemory
from adafocal.calibration.top_label import class_columns
from adafocal.errors import InvalidValueError
from adafocal.outcomes import Outcomes


@documented
def negative_log_likelihood(
    log_probs: Given[ProbMatrix], labels: Given[ClassIndex], *, sample_weight: Given[SampleWeight] | None = None
) -> Scalar:
    """Measure the mean negative logarithm of the probability of the truth.

    A strictly proper score: it judges calibration and discrimination together, unbiased by sample size. One confident
    mistake can dominate it.

    Args:
        log_probs: Logarithms of the class probabilities, nats, shape (N, C), N at least 1, such as
            ``Predictions.log_probs``.
        labels: Class indices in [0, C), shape (N,).

    Returns:
        A scalar in [0, inf], float64, nats per sample; lower is better. Infinite if a true class had probability 0.

    Raises:
        TypeError: If ``log_probs`` is not floating point.
        ValueError: If there is no sample or shapes do not fit.

    Example:
        >>> negative_log_likelihood(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([0]))
        tensor(0.6931, dtype=torch.float64)

    Reference:
        Good, "Rational decisions", JRSS B 14(1), 1952.
    """
    check_class_indices(log_probs, labels, name="log_probs")
    if log_probs.ndim != 2:
        raise InvalidValueError(f"`log_probs` must have shape (N, C), got {tuple(log_probs.shape)}.")
    check_not_empty("log_probs", log_probs)
    check_log_distributions("log_probs", log_probs)
    weight = checked_sample_weight(sample_weight, labels, name="labels")
    log_probs, labels, weight = counted_samples(log_probs, labels, weight)
    nats = -log_probs.gather(1, labels.long()[:, None]).to(wide_dtype(log_probs.device))
    return weighted_mean(nats.squeeze(1), weight)


@documented
def brier_score(
    probs: Given[ProbMatrix], labels: Given[ClassIndex], *, sample_weight: Given[SampleWeight] | None = None
) -> Scalar:
    """Measure the mean squared distance between the probabilities and the truth as a one-hot vector.

    A strictly proper score: it judges calibration and discrimination together, unbiased by sample size, and is bounded
    where the log-likelihood is not. Summed over all classes as Brier did: for two classes it is twice the score of
    the positive class alone.

    Formula: (1/N) sum_i sum_c (p_ic - [label_i = c])^2.

    Returns:
        A scalar in [0, 2], float64; lower is better.

    Example:
        >>> brier_score(torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([0, 0]))
        tensor(0.2500, dtype=torch.float64)

    Reference:
        Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78(1), 1950.
    """
    probs, labels, weight = weighted_classes(probs, labels, sample_weight)
    check_not_empty("probs", probs)
    return mean_square(probs, labels, weight)


def mean_square(probs: ProbMatrix, labels: ClassIndex, weight: SampleWeight | None = None) -> Scalar:
    """Compute :func:`brier_score`, without its checks."""
    wide = wide_dtype(probs.device)
    of_truth = probs.gather(1, labels.long()[:, None]).to(wide).squeeze(1)
    # sum_c (p_c - y_c)^2 = sum_c p_c^2 - 2 p_true + 1, without a one-hot matrix.
    squares: Tensor = torch.linalg.vector_norm(probs, dim=1, dtype=wide).square()
    return weighted_mean(squares - 2 * of_truth + 1, weight)


def weighted_mean(values: Tensor, weight: SampleWeight | None) -> Scalar:
    """Average values by their weights, if any."""
    return values.mean() if weight is None else (weight.to(values) * values).sum() / weight.to(values).sum()


@dataclass(frozen=True, eq=False)
class BrierDecomposition:
    """The Brier score in parts, each summed over the classes: their sum is the score, exactly.

    Attributes:
        calibration: Weighted squared gap between mean probability and frequency per bin, >= 0; also called reliability.
            Biased upward like every binned error.
        refinement: Variance of the labels that remains within bins, >= 0: what perfect recalibration would leave.
        within_bins: What the binning hides: variance of the probabilities within bins minus twice their covariance
            with the labels, of either sign and small for many bins.
        uncertainty: Variance of the labels without any prediction, >= 0; uncertainty minus refinement is the
            resolution.
    """

    calibration: Scalar
    refinement: Scalar
    within_bins: Scalar
    uncertainty: Scalar


@documented
def brier_decomposition(
    probs: Given[ProbMatrix],
    labels: Given[ClassIndex],
    *,
    n_bins: int = 15,
    binning: str = "equal_mass",
    sample_weight: Given[SampleWeight] | None = None,
) -> BrierDecomposition:
    """Split the Brier score into calibration and refinement.

    Use it to see whether a better score comes from truer probabilities or from better separated classes. The event of
    class c is that the label is c.

    Args:
        n_bins: Number of bins for each class; bins are (a, b].

    Returns:
        The parts, float64; ``calibration + refinement + within_bins`` is :func:`brier_score`.

    Example:
        >>> parts = brier_decomposition(torch.tensor([[0.8, 0.2], [0.8, 0.2]]), torch.tensor([0, 1]))
        >>> parts.calibration, parts.refinement
        (tensor(0.1800, dtype=torch.float64), tensor(0.5000, dtype=torch.float64))

    Reference:
        Murphy, "A new vector partition of the probability score", Journal of Applied Meteorology 12(4), 1973.
        DeGroot and Fienberg, "The comparison and evaluation of forecasters", The Statistician 32, 1983 (two parts).
        Stephenson, Coelho and Jolliffe, "Two extra components in the Brier score decomposition", Weather and
        Forecasting 23(4), 2008 (within bins).
    """
    probs, labels, weight = weighted_classes(probs, labels, sample_weight)
    check_not_empty("probs", probs)
    calibration, refinement, uncertainty = split_score(probs, labels, n_bins=n_bins, binning=binning, weight=weight)
    within_bins = mean_square(probs, labels, weight) - calibration - refinement
    return BrierDecomposition(calibration, refinement, within_bins, uncertainty)


def split_score(
    probs: ProbMatrix,
    labels: ClassIndex,
    *,
    n_bins: int,
    binning: str = "equal_mass",
    weight: SampleWeight | None = None,
) -> tuple[Scalar, Scalar, Scalar]:
    """Compute calibration, refinement and uncertainty of :func:`brier_decomposition`, without reading values."""
    wide = wide_dtype(probs.device)
    calibration, refinement, uncertainty = torch.zeros(3, dtype=wide, device=probs.device).unbind()
    for index, confidence in enumerate(class_columns(probs)):
        stats = sum_binned(confidence, labels == index, n_bins=n_bins, binning=binning, weight=weight)
        frequency = stats.correct_sum.sum() / stats.count.sum()
        calibration = calibration + (stats.weight * stats.gap.square()).sum()
        refinement = refinement + (stats.weight * stats.accuracy * (1 - stats.accuracy)).sum()
        uncertainty = uncertainty + frequency * (1 - frequency)
    return calibration, refinement, uncertainty


@documented
def overconfidence(
    confidence: Given[Confidence], correct: Given[Correct], *, sample_weight: Given[SampleWeight] | None = None
) -> Scalar:
    """Measure mean confidence minus accuracy.

    An unbiased estimate of calibration in the large: 0 does not mean calibrated, since gaps of both signs cancel. The
    event is the one that ``correct`` records.

    Returns:
        A scalar in [-1, 1], float64, a fraction; positive where over-confident, negative where under-confident.

    Example:
        >>> overconfidence(torch.tensor([0.8, 0.9]), torch.tensor([True, False]))
        tensor(0.3500, dtype=torch.float64)

    Reference:
        Murphy, "A new vector partition of the probability score", Journal of Applied Meteorology 12(4), 1973 (bias).
    """
    confidence, correct, weight = weighted_event(confidence, correct, sample_weight)
    check_not_empty("confidence", confidence)
    wide = wide_dtype(confidence.device)
    return weighted_mean(confidence.to(wide), weight) - weighted_mean(correct.to(wide), weight)


def _parts(sums: PredictionSums) -> tuple[Tensor, Tensor]:
    """Split the score of data in memory: it needs all samples at once."""
    record, n_bins = sums.record if isinstance(sums, SumsInMemory) else None, sums.bins.n_bins
    if record is None or getattr(record, "ragged", False):
        return sums.totals.new_tensor(math.nan), sums.totals.new_tensor(math.nan)
    calibration, refinement, _ = split_score(record.probs, record.labels, n_bins=n_bins, weight=record.weight)
    # Of outcomes the score is of one event, half of that of both classes.
    half = 0.5 if isinstance(record, Outcomes) else 1.0
    return half * calibration, half * refinement


def _accuracy_ends(sums: PredictionSums) -> tuple[Tensor, Tensor]:
    if sums.clusters is not None:
        return sums.clusters.accuracy_interval(level=LEVEL, n=sums.n_effective)
    return score_interval(sums.mean.right[None], sums.totals.new_tensor([sums.n_effective]), level=LEVEL)


def _gap_ends(sums: PredictionSums) -> tuple[Tensor, Tensor]:
    if sums.clusters is not None:
        return sums.clusters.gap_interval(level=LEVEL)
    return mean_interval(sums.gap, sums.spread, sums.n_effective, level=LEVEL)


ACCURACY = PredictionMeasure(
    name="accuracy",
    question=GOOD,
    title="accuracy",
    about="Share of samples whose top label is right.",
    compute=lambda sums: sums.mean.right,
    interval="accuracy_interval",
    ends=_accuracy_ends,
    about_ends="95 % Wilson interval of ``accuracy``.",
    better="higher",
)
NLL = PredictionMeasure(
    name="nll",
    question=GOOD,
    heading="NLL",
    title="negative log-likelihood (nats)",
    unit="nats",
    digits=3,
    about="Negative log-likelihood, nats per sample; infinite if a true class had probability 0.",
    compute=lambda sums: sums.mean.nll,
    high=math.inf,
)
BRIER = PredictionMeasure(
    name="brier",
    question=GOOD,
    title="Brier score",
    unit="",
    digits=3,
    about="Brier score summed over classes, in [0, 2].",
    compute=lambda sums: sums.mean.square,
    high=2.0,
)
BRIER_CALIBRATION = PredictionMeasure(
    name="brier_calibration",
    question=COST,
    unit="",
    about="The part of ``brier`` due to miscalibration, equal-mass bins.",
    compute=lambda sums: sums.once(_parts)[0],
    in_stream="none",
    high=2.0,
)
BRIER_REFINEMENT = PredictionMeasure(
    name="brier_refinement",
    question=GOOD,
    unit="",
    about="The part of ``brier`` that perfect recalibration would leave.",
    compute=lambda sums: sums.once(_parts)[1],
    in_stream="none",
)
OVERCONFIDENCE = PredictionMeasure(
    name="overconfidence",
    question=ON_AVERAGE,
    heading="confidence - accuracy %",
    page_heading="Conf. − acc. %",
    title="over-confidence (confidence - accuracy)",
    about="Mean confidence minus accuracy, in [-1, 1].",
    compute=lambda sums: sums.gap,
    interval="overconfidence_interval",
    ends=_gap_ends,
    about_ends="95 % interval of ``overconfidence``, as :func:`overconfidence_interval` makes it.",
    better="zero",
    low=-1.0,
)
