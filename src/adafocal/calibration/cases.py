# SPDX-License-Identifier: Apache-2.0
"""Calibration of each class in each case of a segmentation, averaged over cases."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from adafocal._arrays import checked_cluster
from adafocal._checks import check_choice, check_integer
from adafocal._docs import documented
from adafocal._dtypes import at_least_float32, wide_dtype
from adafocal._shapes import Given, Labels, Logits
from adafocal._values import check_class_indices, check_distributions, check_softmax
from adafocal.calibration.bins import BinStats
from adafocal.calibration.case_stats import CaseCalibration, CaseStats
from adafocal.calibration.clusters import numbered
from adafocal.calibration.edges import assign_equal_width_bins, equal_width_edges
from adafocal.errors import InvalidTypeError, InvalidValueError

INPUTS = ("logits", "probs")
PIECE = 1 << 18  # probabilities worked on at a time


@documented
def case_calibration(
    values: Given[Logits],
    labels: Given[Labels],
    *,
    cases: Any = None,
    inputs: str = "logits",
    n_bins: int = 20,
    include_background: bool = False,
    ignore_index: int = -100,
    level: float = 0.95,
) -> CaseCalibration:
    """Measure the calibration of every class in every case, and average over classes and then over cases.

    For segmentation: voxels of a case are not independent, a few large cases can rule a number of all voxels, and easy
    background drowns every error in it. Here each case counts the same, and so does each class.

    Formula: the event of class c is that the label is c, its confidence the probability of c. In equal-width bins of
    one case, with n_b voxels, ``gap_b = |mean probability - share of c|``: ECE is ``sum_b n_b gap_b / sum_b n_b``, ACE
    the mean of gap_b over the bins that hold voxels, and MCE the largest. ACE is the number that
    :class:`~adafocal.losses.L1ACELoss` lowers.

    A class that a case does not have counts: in each bin its share is 0, so that the gap is the mean probability that
    was given to what is not there. All three are biased upward: bins of few voxels have gaps by chance alone, which
    weigh most in MCE and ACE. Compare them only at the same number of bins and size of cases.

    Args:
        values: Logits or probabilities of shape (N, C, d1, …); or (N, C), voxels as rows, with ``cases``.
        labels: Class indices in [0, C), shape (N, d1, …).
        cases: Of what case each of the N is, numbers or words, shape (N,); None: each is a case of its own.
        inputs: ``logits`` or ``probs``: what ``values`` are; never guessed.
        n_bins: Number of bins (a, b] of each class.
        include_background: Whether class 0 counts.
        ignore_index: Label of voxels that do not count. A case without a voxel that counts is no case.

    Returns:
        Means over cases with intervals of the mean over new cases, see :class:`CaseCalibration`; NaN without cases.
        There is no interval of fewer than three. It is the t interval, wider on the long side of skewed values:
        simulated coverage is 93 to 97 % unless values are very skewed (lognormal of spread 1: 87 % of 5 cases, 91 %
        of 20). If a tenth of all cases fails, ten cases may not show it, and no interval can tell.

    Raises:
        TypeError: If ``values`` are not floating point, or labels no class indices.
        ValueError: If shapes do not fit, values are no logits or probabilities, or an option is out of range.

    Example:
        >>> probs = torch.tensor([[[0.9, 0.9, 0.4, 0.4], [0.1, 0.1, 0.6, 0.6]]])  # one case of four voxels
        >>> found = case_calibration(probs, torch.tensor([[0, 0, 1, 0]]), inputs="probs")
        >>> round(found.ece.value, 4), round(found.ace.value, 4), round(found.mce.value, 4)
        (0.1, 0.1, 0.1)

    Reference:
        Barfoot et al., "Average calibration losses for reliable uncertainty in medical image segmentation", 2025,
        https://arxiv.org/abs/2506.03942 (ACE per image and class); Guo et al., "On calibration of modern neural
        networks", ICML 2017, https://arxiv.org/abs/1706.04599 (ECE, MCE); Naeini et al., AAAI 2015.

    Differs from the paper: its code counts a class that an image does not have as 0, as the penalty
    :func:`~adafocal.losses.l1_ace_penalty` does. ``CalibrationErrorMetric`` of MONAI 1.6 counts it as here, and gives
    the same numbers up to rounding (``mean`` is ``value``, ``mean_batch`` that of the classes, ``none`` is
    :meth:`CaseStats.errors`), with these differences: its bins end at k / n times 1 + 1.2e-7, ours at k / n, so that a
    probability within a rounding above k / n is in the bin below; both put k / n itself below. A bin is empty where
    it holds no voxel, in both. It sums in float32, here in float64; takes no ``ignore_index``; and counts the
    background unless told otherwise.
    """
    stats = _summed(values, labels, cases, inputs=inputs, n_bins=n_bins, ignore_index=ignore_index)
    return stats.compute(include_background=include_background, level=level)


@documented
def case_stats(
    values: Given[Logits],
    labels: Given[Labels],
    cases: Any,
    *,
    inputs: str = "logits",
    n_bins: int = 20,
    ignore_index: int = -100,
) -> CaseStats:
    """Sum a batch per case, class and bin, for data that do not fit into memory: sums of batches merge by adding.

    Args:
        values: Logits or probabilities of shape (N, C, d1, …) or (N, C).
        labels: Class indices in [0, C), shape (N, d1, …) or (N,).
        cases: Of what case each of the N is, numbers or words, shape (N,); a case may be in several batches.
        inputs: ``logits`` or ``probs``: what ``values`` are; never guessed.
        n_bins: Number of bins (a, b] of each class.
        ignore_index: Label of voxels that do not count.

    Returns:
        The sums; ``compute`` averages them as :func:`case_calibration` does.

    Raises:
        TypeError: If ``values`` are not floating point, or labels no class indices.
        ValueError: If shapes do not fit, values are no logits or probabilities, or an option is out of range.

    Example:
        >>> probs, labels = torch.tensor([[0.9, 0.1], [0.4, 0.6]]), torch.tensor([0, 0])
        >>> first = case_stats(probs, labels, ["a", "b"], inputs="probs")
        >>> second = case_stats(probs, labels, ["b", "c"], inputs="probs")
        >>> first.merge(second).n_cases
        3
    """
    if cases is None:
        raise InvalidTypeError("`cases` must be given: sums of batches are joined by them.")
    return _summed(values, labels, cases, inputs=inputs, n_bins=n_bins, ignore_index=ignore_index)


def _summed(values: Tensor, labels: Tensor, cases: Any, *, inputs: str, n_bins: int, ignore_index: int) -> CaseStats:
    check_choice("inputs", inputs, INPUTS)
    check_integer("n_bins", n_bins, minimum=1)
    counted = check_class_indices(values, labels, name="values", ignore_index=ignore_index)
    if values.ndim < 2 or (cases is None and values.ndim == 2):
        raise InvalidValueError(
            f"`values` must have shape (N, C, d1, …), or (N, C) with `cases`, got {tuple(values.shape)}."
        )
    codes = (
        torch.arange(len(values)) if cases is None else checked_cluster(cases, len(values), of="values", name="cases")
    )
    assert codes is not None
    probs = _checked_probs(values, counted, inputs)
    return sum_cases(probs, labels, codes.to(values.device), n_bins=n_bins, ignore_index=ignore_index)


def _checked_probs(values: Tensor, counted: Tensor | None, inputs: str) -> Tensor:
    """Give probabilities in float32 or wider, with classes on axis 1; those of voxels that do not count may be none."""
    wide = at_least_float32(values.detach())
    if inputs == "logits":
        probs = wide.softmax(dim=1)
        check_softmax("values", probs.amax(dim=1), counted=counted)
        return probs
    check_distributions("values", wide, axis=1, counted=counted, dtype=values.dtype)
    return wide.clamp(max=1.0)


def sum_cases(probs: Tensor, labels: Tensor, codes: Tensor, *, n_bins: int, ignore_index: int = -100) -> CaseStats:
    """Sum checked probabilities (N, C, d1, …) and labels as :func:`case_stats` does."""
    n_classes, device = probs.shape[1], probs.device
    found, index = numbered(codes)
    size = len(found) * n_classes * n_bins
    count, correct_sum = torch.zeros((2, size), dtype=torch.int64, device=device)
    confidence_sum = torch.zeros(size, dtype=wide_dtype(device), device=device)
    first = torch.arange(n_classes, device=device)[:, None]
    for some, truth, case in _pieces(probs, labels.long(), index):
        counted = truth != ignore_index
        if not bool(counted.all()):
            some, truth, case = some[:, counted], truth[counted], case[counted]
        some = some.contiguous()
        place = assign_equal_width_bins(some, n_bins) + n_bins * (first + n_classes * case)
        count += torch.bincount(place.flatten(), minlength=size)
        confidence_sum += torch.bincount(place.flatten(), some.flatten().to(confidence_sum), size)
        correct_sum += torch.bincount(place.gather(0, truth[None])[0], minlength=size)
    sums = (count, confidence_sum, correct_sum.to(confidence_sum))
    bins = [each.view(len(found), n_classes, n_bins) for each in sums]
    held = bins[0].flatten(1).any(dim=1)
    edges = equal_width_edges(n_bins, device=device)
    return CaseStats(found[held], BinStats(edges, *(each[held] for each in bins)))


def sum_events(
    confidence: Tensor, happened: Tensor, codes: Tensor, *, n_bins: int, weight: Tensor | None = None
) -> CaseStats:
    """Sum one checked event, all of shape (N,), by case: sums of shape (G, 1, n_bins); weights are above 0."""
    found, index = numbered(codes)
    place, size = assign_equal_width_bins(confidence, n_bins) + n_bins * index, n_bins * len(found)
    wide = wide_dtype(confidence.device)
    heavy = torch.ones_like(confidence, dtype=wide) if weight is None else weight.to(wide)
    sums = [torch.bincount(place, heavy * part, size) for part in (heavy.new_ones(()), confidence.to(wide), happened)]
    count, *rest = (part.view(len(found), 1, n_bins) for part in sums)
    edges = equal_width_edges(n_bins, device=confidence.device)
    return CaseStats(found, BinStats(edges, count if weight is not None else count.long(), *rest))


def _pieces(probs: Tensor, labels: Tensor, index: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Give probabilities class after class, (C, M), with labels and places of cases, (M,), some voxels at a time."""
    if probs.ndim == 2:  # each row is a voxel
        probs, labels, index = probs.t()[None], labels[None], index[None]
    else:
        probs, labels = probs.flatten(2), labels.flatten(1)
        index = index[:, None].expand(labels.shape)
    n = max(1, PIECE // probs.shape[1])
    for image in zip(probs, labels, index, strict=True):
        yield from zip(*(torch.split(part, n, dim=-1) for part in image), strict=True)
