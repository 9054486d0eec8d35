# SPDX-License-Identifier: Apache-2.0
"""Calibration of every class's or every label's probability, not of the top label alone."""

from numbers import Integral

import torch
from torch import Tensor

from adafocal._checks import check_choice, check_floating, check_number, check_tensor
from adafocal._docs import documented
from adafocal._dtypes import at_least_float32
from adafocal._shapes import ClassIndex, Given, ProbMatrix, SampleWeight
from adafocal._values import check_prob_matrix, checked_sample_weight, checked_shares, counted_samples, weighted_classes
from adafocal.calibration.bins import NORMS
from adafocal.calibration.cells import sum_binned
from adafocal.calibration.measure import CLASSES, PredictionMeasure
from adafocal.errors import InvalidValueError

AVERAGES_OF_CLASSES = ("macro", "none")
AVERAGES = ("label", "pooled", "none")


@documented
def classwise_calibration_error(
    probs: Given[ProbMatrix],
    labels: Given[ClassIndex],
    *,
    n_bins: int = 15,
    binning: str = "equal_width",
    norm: str = "l1",
    debias: bool = False,
    threshold: float = 0.0,
    average: str = "macro",
    sample_weight: Given[SampleWeight] | None = None,
) -> Tensor:
    """Measure the calibration error of each class's probability, averaged over the classes.

    The calibrated event of class c is that the label is c; every class counts the same, however rare. Use it where
    all probabilities matter, not only the largest. With many classes most probabilities are near 0 and pull the value
    down: compare it only between models of the same number of classes, or set a ``threshold``. The plug-in value is
    biased upward; equal-mass bins are unreliable for rare classes, where a bin may hold no positive sample.

    Args:
        n_bins: Number of bins for each class.
        binning: ``equal_width`` or ``equal_mass``; bins are (a, b], an empty bin counts nothing.
        norm: ``l1``, ``l2`` or ``max``, within a class.
        debias: Take the expected noise away, within a class.
        threshold: Leave out probabilities below it, in [0, 1]; a class with none left is left out of the average.
        average: ``macro`` averages the errors of the classes, ``none`` gives the error of each class.

    Returns:
        A scalar in [0, 1], float64, or shape (C,) for ``none``; fractions, lower is better. NaN where the threshold
        leaves nothing.

    Example:
        >>> probs = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]])
        >>> classwise_calibration_error(probs, torch.tensor([0, 0, 1]))
        tensor(0.1333, dtype=torch.float64)

    Reference:
        Nixon, Dusenberry, Zhang, Jerfel and Tran, "Measuring calibration in deep learning", CVPR workshops 2019,
        https://arxiv.org/abs/1904.01685 (static and adaptive calibration error, thresholding).
        Kull et al., "Beyond temperature scaling", NeurIPS 2019, https://arxiv.org/abs/1910.12656 (classwise ECE).
    """
    probs, labels, weight = weighted_classes(probs, labels, sample_weight)
    check_number("threshold", threshold, low=0.0, high=1.0)
    check_choice("norm", norm, NORMS)
    check_choice("average", average, AVERAGES_OF_CLASSES)
    errors, nothing = [], torch.tensor(torch.nan, dtype=torch.float64, device=probs.device)
    for index in range(probs.shape[1]):
        confidence, happened = class_event(probs, labels, index)
        of_class = weight
        if threshold > 0:
            counted = confidence >= threshold
            confidence, happened = confidence[counted], happened[counted]
            of_class = None if weight is None else weight[counted]
            if confidence.numel() == 0:
                errors.append(nothing)
                continue
        stats = sum_binned(confidence, happened, n_bins=n_bins, binning=binning, weight=of_class)
        errors.append(stats.compute(norm=norm, debias=debias))
    return torch.stack(errors) if average == "none" else torch.stack(errors).nanmean()


@documented
def one_class_from_probs(
    probs: Given[ProbMatrix], labels: Given[ClassIndex], *, positive_class: int = 1
) -> tuple[Tensor, Tensor]:
    """Pick the probability of one class, and whether the label is that class: the event of a binary classifier.

    Args:
        probs: Class probabilities, shape (N, C); each row sums to 1.
        positive_class: The class whose probability is judged, in [0, C).

    Returns:
        ``confidence`` in [0, 1] and boolean ``correct``, each of shape (N,), for every estimator of this package.

    Raises:
        TypeError: If ``probs`` is not floating point.
        ValueError: If shapes do not fit or ``positive_class`` is out of range.

    Example:
        >>> one_class_from_probs(torch.tensor([[0.7, 0.3], [0.1, 0.9]]), torch.tensor([0, 1]))
        (tensor([0.3000, 0.9000]), tensor([False,  True]))
    """
    check_prob_matrix(probs, labels)
    check_positive_class(positive_class, probs.shape[1])
    return class_event(probs, labels, positive_class)


def check_positive_class(positive_class: int, n_classes: int) -> None:
    """Raise unless ``positive_class`` is the index of a class."""
    if (
        isinstance(positive_class, bool)
        or not isinstance(positive_class, Integral)
        or not 0 <= positive_class < n_classes
    ):
        raise InvalidValueError(f"`positive_class` must be a class index in [0, {n_classes}), got {positive_class}.")


def class_event(probs: ProbMatrix, labels: ClassIndex, index: int) -> tuple[Tensor, Tensor]:
    """Pick as :func:`one_class_from_probs` does, without its checks."""
    return at_least_float32(probs[:, index]).clamp(max=1.0), labels == index


@documented
def multilabel_calibration_error(
    probs: Given[ProbMatrix],
    labels: Given[Tensor],
    *,
    n_bins: int = 15,
    binning: str = "equal_width",
    norm: str = "l1",
    debias: bool = False,
    average: str = "label",
    sample_weight: Given[SampleWeight] | None = None,
) -> Tensor:
    """Measure the calibration error where a sample may have several labels, each with its own probability.

    The calibrated event of column l is that label l applies. ``label`` gives every label the same say; ``pooled``
    puts all (sample, label) pairs into the same bins, so that gaps of different labels may cancel.

    Args:
        probs: Probability of each label, shape (N, L), N at least 1; rows need not sum to 1.
        labels: Whether each label applies, booleans or 0 and 1, shape (N, L).
        n_bins: Number of bins.
        binning: ``equal_width`` or ``equal_mass``; bins are (a, b], an empty bin counts nothing.
        norm: ``l1``, ``l2`` or ``max``.
        debias: Take the expected noise away.
        average: ``label`` averages the errors of the labels, ``pooled`` measures all pairs at once, ``none`` gives the
            error of each label.

    Returns:
        A scalar in [0, 1], float64, or shape (L,) for ``none``; fractions, lower is better.

    Raises:
        TypeError: If ``probs`` is not floating point.
        ValueError: If there is no sample, shapes differ, or an option is out of range.

    Example:
        >>> probs = torch.tensor([[0.9, 0.4], [0.9, 0.6]])
        >>> multilabel_calibration_error(probs, torch.tensor([[1, 0], [1, 1]]), average="none")
        tensor([0.1000, 0.4000], dtype=torch.float64)

    Reference:
        The binary calibration error of Guo et al., ICML 2017, https://arxiv.org/abs/1706.04599, applied per label.
    """
    check_choice("average", average, AVERAGES)
    check_choice("norm", norm, NORMS)
    check_tensor("probs", probs)
    check_floating("probs", probs)
    if probs.ndim != 2 or probs.shape[1] == 0:
        raise InvalidValueError(f"`probs` must have shape (N, L) with L >= 1, got {tuple(probs.shape)}.")
    wide, labels = checked_shares(probs, labels, names=("probs", "labels"), yes_or_no=True)
    weight = checked_sample_weight(sample_weight, labels[:, 0], name="labels[:, 0]")
    wide, labels, weight = counted_samples(wide, labels, weight)
    if average == "pooled":
        weight = None if weight is None else weight.repeat_interleave(wide.shape[1])
        wide, labels = wide.reshape(-1, 1), labels.reshape(-1, 1)
    columns = zip(wide.T.contiguous(), labels.T, strict=True)
    stats = (sum_binned(of_label, y, n_bins=n_bins, binning=binning, weight=weight) for of_label, y in columns)
    errors = torch.stack([of_label.compute(norm=norm, debias=debias) for of_label in stats])
    return errors if average == "none" else errors.mean()


CLASSWISE_ECE = PredictionMeasure(
    name="classwise_ece",
    question=CLASSES,
    title="classwise ECE",
    about="Calibration error of each class's probability, equal-width bins, averaged over classes.",
    compute=lambda sums: sums.class_gaps.abs().sum(dim=1).mean() / sums.mass,
    is_the_gap=True,
)
