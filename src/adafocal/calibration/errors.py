# SPDX-License-Identifier: Apache-2.0
"""Errors between confidence and accuracy, from sums per bin. Lower is better; all are fractions in [0, 1]."""

import torch

from adafocal._checks import check_choice
from adafocal._shapes import Confidence, Correct, InnerEdges, Scalar
from adafocal.calibration.bins import BinStats, bin_stats
from adafocal.calibration.edges import equal_mass_edges, equal_width_edges

BINNINGS = ("equal_width", "equal_mass")
NORMS = ("l1", "l2", "max")


def expected_calibration_error(
    confidence: Confidence, correct: Correct, *, n_bins: int = 15, binning: str = "equal_width", norm: str = "l1"
) -> Scalar:
    """Measure the gap between confidence and accuracy, averaged over bins by their share of the samples.

    The calibrated event is the one that ``correct`` records: for top-label calibration, whether the predicted class
    was right. With ``norm="max"`` this is the maximum calibration error (MCE), with ``norm="l2"`` the root mean square
    calibration error. It is biased upward: sampling noise alone makes it positive for a calibrated model.

    Formula: ``l1`` is sum_b (n_b / N) |conf_b - acc_b|; ``l2`` is sqrt(sum_b (n_b / N) (conf_b - acc_b)^2); ``max`` is
    max_b |conf_b - acc_b|.

    Args:
        confidence: Predicted probability of the event, in [0, 1], shape (N,), N at least 1.
        correct: Whether the event happened, shape (N,).
        n_bins: Number of bins.
        binning: ``equal_width`` cuts [0, 1] evenly, ``equal_mass`` puts as many samples in each bin.
        norm: ``l1``, ``l2`` or ``max``.

    Returns:
        A scalar in [0, 1], float64, a fraction; lower is better. Bins are (a, b]; an empty bin counts nothing.

    Raises:
        TypeError: If ``confidence`` is not floating point.
        ValueError: If there is no sample, shapes differ, or ``n_bins``, ``binning`` or ``norm`` is out of range.

    Example:
        >>> expected_calibration_error(torch.tensor([0.8, 0.8, 0.8, 0.8]), torch.tensor([True, True, False, False]))
        tensor(0.3000, dtype=torch.float64)

    Reference:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017,
        https://arxiv.org/abs/1706.04599, equations 3 and 5.
    """
    check_choice("norm", norm, NORMS)
    edges = make_edges(confidence, n_bins=n_bins, binning=binning)
    return binned_error(bin_stats(confidence, correct, edges), norm=norm)


def make_edges(confidence: Confidence, *, n_bins: int, binning: str) -> InnerEdges:
    """Give the inner edges of shape (n_bins - 1,) of the named binning for these confidences."""
    check_choice("binning", binning, BINNINGS)
    if confidence.numel() == 0:
        raise ValueError("`confidence` must hold at least one sample, got 0.")
    if binning == "equal_mass":
        return equal_mass_edges(confidence, n_bins)
    return equal_width_edges(n_bins, dtype=confidence.dtype, device=confidence.device)


def binned_error(stats: BinStats, *, norm: str = "l1") -> Scalar:
    """Give the calibration error of sums per bin, such as those of a stream.

    Args:
        stats: Sums per bin; an empty bin counts nothing.
        norm: ``l1``, ``l2`` or ``max``; see :func:`expected_calibration_error`.

    Returns:
        A scalar in [0, 1], a fraction; lower is better. NaN when ``stats`` holds no sample: an error of nothing is
        undefined, not zero.

    Raises:
        ValueError: If ``norm`` is none of these.

    Example:
        >>> stats = bin_stats(torch.tensor([0.8, 0.8]), torch.tensor([True, False]), torch.tensor([0.5]))
        >>> binned_error(stats)
        tensor(0.3000, dtype=torch.float64)
    """
    check_choice("norm", norm, NORMS)
    gap = stats.gap.abs()
    if norm == "max":
        error = gap.max()
    elif norm == "l2":
        error = (stats.weight * gap.square()).sum().sqrt()
    else:
        error = (stats.weight * gap).sum()
    return torch.where(stats.count.sum() > 0, error, torch.nan)
