# SPDX-License-Identifier: Apache-2.0
"""The calibration error with as many equal-mass bins as keep the accuracy rising: no number of bins to choose."""

import torch
from torch import Tensor

from adafocal._checks import check_choice
from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, Correct, InnerEdges, Scalar
from adafocal._values import checked_event
from adafocal.calibration.bins import sum_events
from adafocal.calibration.errors import NORMS, error_of_bins, make_edges

MAX_BINS = 2_000


def sweep_calibration_error(confidence: Confidence, correct: Correct, *, norm: str = "l1") -> Scalar:
    """Measure the calibration error in the finest equal-mass bins whose accuracies still rise with confidence.

    Use it beside the error with a fixed number of bins: it is less biased where few bins would hide a gap or many
    would add noise. It assumes that the true accuracy rises with confidence. The calibrated event is the one that
    ``correct`` records. It is still biased upward for a calibrated model.

    Args:
        confidence: Predicted probability of the event, in [0, 1], shape (N,), N at least 1.
        correct: Whether the event happened, shape (N,).
        norm: ``l1``, ``l2`` or ``max``.

    Returns:
        A scalar in [0, 1], float64, a fraction; lower is better. Bins are (a, b]; an empty bin counts nothing.

    Raises:
        TypeError: If ``confidence`` is not floating point.
        ValueError: If there is no sample, shapes differ, or ``norm`` is out of range.

    Example:
        >>> confidence = torch.tensor([0.6, 0.7, 0.8, 0.9])
        >>> sweep_calibration_error(confidence, torch.tensor([False, True, False, True]))
        tensor(0.2500, dtype=torch.float64)

    Reference:
        Roelofs, Cain, Shlens and Mozer, "Mitigating bias in calibration error estimation", AISTATS 2022,
        https://arxiv.org/abs/2012.08668, algorithm 1.

    Differs from the paper: equal confidences share a bin, and there are at most 2,000 bins, which only predictions
    that are almost sorted by correctness reach. The authors' code defaults to ``l2``.
    """
    check_choice("norm", norm, NORMS)
    confidence, correct = checked_event(confidence, correct, empty=True)
    return sweep_error(confidence, correct, norm=norm)


def sweep_error(confidence: Confidence, correct: Correct, *, norm: str = "l1") -> Scalar:
    """Give what :func:`sweep_calibration_error` gives, without reading values."""
    return error_of_bins(sum_events(confidence, correct, rising_edges(confidence, correct)), norm=norm)


def sweep_edges(confidence: Confidence, correct: Correct) -> InnerEdges:
    """Give the equal-mass edges at which the monotonic sweep stops.

    The number of bins grows from 1 until a bin's accuracy falls below that of the bin before it; the last number that
    kept the accuracies non-decreasing is taken.

    Args:
        confidence: Predicted probability of the event, in [0, 1], shape (N,), N at least 1.
        correct: Whether the event happened, shape (N,).

    Returns:
        Inner edges of shape (n_bins - 1,), non-decreasing; at most N and at most 2,000 bins.

    Raises:
        TypeError: If ``confidence`` is not floating point.
        ValueError: If there is no sample or shapes differ.

    Example:
        >>> sweep_edges(torch.tensor([0.6, 0.7, 0.8, 0.9]), torch.tensor([False, True, False, True])).shape
        torch.Size([1])

    Reference:
        Roelofs, Cain, Shlens and Mozer, "Mitigating bias in calibration error estimation", AISTATS 2022,
        https://arxiv.org/abs/2012.08668, algorithm 1.
    """
    confidence, correct = checked_event(confidence, correct, empty=True)
    return rising_edges(confidence, correct)


def rising_edges(confidence: Confidence, correct: Correct) -> InnerEdges:
    """Give what :func:`sweep_edges` gives, without reading values."""
    make_edges(confidence, n_bins=1, binning="equal_mass")  # its checks are ours
    n = confidence.numel()
    values, order = confidence.sort()
    happened = correct[order].to(wide_dtype(confidence.device)).cumsum(0)
    # Where the run of equal confidences that holds each sample ends: cuts are moved there.
    run_end = torch.searchsorted(values, values, right=True)
    most = min(n, MAX_BINS)
    if _rises(run_end, happened):
        n_bins = most  # already true of single confidences, so of every coarser cut: spare the search its steps
    else:
        n_bins = 1
        while n_bins < most and _rises(run_end[_ranks(n, n_bins + 1, run_end)], happened):
            n_bins += 1
    return values[_ranks(n, n_bins, run_end)]


def _ranks(n: int, n_bins: int, like: Tensor) -> Tensor:
    cuts = torch.arange(1, n_bins, device=like.device, dtype=torch.int64)
    return (cuts * n + n_bins - 1) // n_bins - 1


def _rises(cuts: Tensor, happened: Tensor) -> bool:
    """Say whether accuracy never falls from one non-empty bin to the next, for bins that end before each cut."""
    ends = torch.cat([cuts, cuts.new_tensor([len(happened)])])
    count = torch.diff(ends, prepend=ends.new_zeros(1))
    total = torch.diff(happened[ends - 1], prepend=happened.new_zeros(1))
    accuracy = (total / count)[count > 0]
    return bool((accuracy[1:] >= accuracy[:-1]).all())
