# SPDX-License-Identifier: Apache-2.0
"""The calibration error with as many equal-mass bins as keep the accuracy rising: no number of bins to choose."""

import torch
from torch import Tensor

from adafocal._checks import check_choice
from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, InnerEdges, SampleWeight, Scalar
from adafocal._values import weighted_event
from adafocal.calibration.bins import NORMS, BinStats
from adafocal.calibration.cells import check_samples, distinct_cells, equal_mass_bins, equal_mass_cells
from adafocal.calibration.measure import PredictionMeasure

MAX_BINS = 2_000


@documented
def sweep_calibration_error(
    confidence: Given[Confidence],
    correct: Given[Correct],
    *,
    norm: str = "l1",
    sample_weight: Given[SampleWeight] | None = None,
) -> Scalar:
    """Measure the calibration error in the finest equal-mass bins whose accuracies still rise with confidence.

    Use it beside the error with a fixed number of bins: it is less biased where few bins would hide a gap or many
    would add noise. It assumes that the true accuracy rises with confidence. The calibrated event is the one that
    ``correct`` records. It is still biased upward for a calibrated model.

    Returns:
        A scalar in [0, 1], float64, a fraction; lower is better. Bins are (a, b]; an empty bin counts nothing.

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
    return _rising_bins(*weighted_event(confidence, correct, sample_weight)).compute(norm=norm)


@documented
def sweep_edges(
    confidence: Given[Confidence], correct: Given[Correct], *, sample_weight: Given[SampleWeight] | None = None
) -> InnerEdges:
    """Find the equal-mass edges at which the monotonic sweep stops: those of :func:`sweep_calibration_error`.

    The number of bins grows from 1 until a bin's accuracy falls below that of the bin before it; the last number that
    kept the accuracies non-decreasing is taken.

    Returns:
        Inner edges of shape (n_bins - 1,), non-decreasing; at most N and at most 2,000 bins.

    Example:
        >>> sweep_edges(torch.tensor([0.6, 0.7, 0.8, 0.9]), torch.tensor([False, True, False, True])).shape
        torch.Size([1])
    """
    return _rising_bins(*weighted_event(confidence, correct, sample_weight)).edges


def _rising_bins(confidence: Confidence, correct: Correct, weight: SampleWeight | None) -> BinStats:
    cells = distinct_cells(confidence, correct, weight)
    # A whole weight of 3 is three samples.
    return rising_bins(cells, most=int(cells.count.sum()) if cells.whole else len(confidence))


def joined_sweep(stats: BinStats) -> BinStats:
    """Join cells into the most equal-mass bins whose accuracy does not fall: :func:`sweep_calibration_error` by cells.

    Args:
        stats: Sums over fine cells, with at least one sample.

    Returns:
        The sums per bin; one bin where two already fall. Its :func:`~adafocal.calibration.binned_error` is the
        monotonic-sweep calibration error, with at most one bin per occupied cell and at most 2,000.

    Raises:
        ValueError: If there is no sample.

    Example:
        >>> from adafocal.calibration import grid_stats
        >>> stats = grid_stats(torch.tensor([0.6, 0.7, 0.8, 0.9]), torch.tensor([False, True, False, True]))
        >>> joined_sweep(stats).count
        tensor([2, 2])
    """
    check_samples(stats)
    return rising_bins(stats, most=int((stats.count > 0).sum()))


def rising_bins(cells: BinStats, *, most: int) -> BinStats:
    """Join cells into the most equal-mass bins whose accuracy does not fall, at most ``most`` and 2,000 of them.

    That many samples are in memory, or occupied cells in a grid, which cannot tell the samples of one apart.
    """
    cumulative, happened = cells.count.cumsum(0), cells.correct_sum.cumsum(0)
    most, n_bins = min(most, MAX_BINS), 1
    if _rises_everywhere(cells):
        n_bins = most  # already true of single cells, so of every coarser cut: spare the search its steps
    else:
        while n_bins < most and _rises(equal_mass_cells(cumulative, n_bins + 1), cumulative, happened):
            n_bins += 1
    return equal_mass_bins(cells, n_bins)


def _rises_everywhere(cells: BinStats) -> bool:
    """Whether no occupied cell has a lower accuracy than one before it."""
    before = cells.correct_sum.new_zeros(1)
    for some in cells.pieces():
        accuracy = torch.cat([before, some.accuracy[some.count > 0]])
        if bool((accuracy[1:] < accuracy[:-1]).any()):
            return False
        before = accuracy[-1:]
    return True


def _rises(last: Tensor, cumulative: Tensor, happened: Tensor) -> bool:
    """Say whether accuracy never falls from one non-empty bin to the next, for bins that end with each cell."""
    count, total = (torch.cat([sums[:1] * 0, sums[last], sums[-1:]]).diff() for sums in (cumulative, happened))
    accuracy = (total / count)[count > 0]
    return bool((accuracy[1:] >= accuracy[:-1]).all())


ECE_SWEEP = PredictionMeasure(
    name="ece_sweep",
    title="ECE, monotonic sweep",
    about="Expected calibration error, as many equal-mass bins as the monotonic sweep finds.",
    compute=lambda sums: rising_bins(sums.cells, most=sums.most_bins).compute(),
    in_stream="sweep",
    of_shares=False,
    is_the_gap=True,
)
