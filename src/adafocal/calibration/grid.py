# SPDX-License-Identifier: Apache-2.0
"""A fixed grid of fine cells, dense towards confidence 1: equal-mass bins, sweep and KS from sums of constant size.

Equal-mass edges depend on all confidences, so they cannot be known while data stream by. Sums over the grid's 4,352
cells can be kept instead, merged by adding, and joined into bins afterwards. What is computed from joined cells is
exact for the edges that it reports; those edges miss equal mass by at most the samples of one cell.
"""

from functools import lru_cache

import torch
from torch import Tensor

from adafocal._checks import check_integer
from adafocal._shapes import Confidence, Correct, InnerEdges, Scalar
from adafocal._values import check_edges, check_float_dtype, checked_event
from adafocal.calibration.bins import BinStats, check_stats, sum_bins
from adafocal.calibration.edges import find_bins
from adafocal.calibration.sweep import MAX_BINS
from adafocal.errors import InvalidValueError

OCTAVES = 16
CELLS_PER_OCTAVE = 256
N_CELLS = (OCTAVES + 1) * CELLS_PER_OCTAVE


def grid_edges(*, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None) -> InnerEdges:
    """Give the inner edges of the grid: 1 - p falls by halves, each half cut into 256 cells.

    Cell widths are at most 0.4 % of 1 - p where p <= 1 - 2^-16; above, each cell holds a single float32 value. All
    edges are float32 numbers, so that the cell of a sample does not depend on the dtype of the edges.

    Args:
        dtype: float32 or float64.
        device: Device of the edges.

    Returns:
        Edges of shape (4351,), ascending in (0, 1).

    Raises:
        TypeError: If ``dtype`` is not floating point.

    Example:
        >>> grid_edges()[-1] == 1 - 2**-24
        tensor(True)
    """
    check_float_dtype(dtype)
    steps = torch.arange(CELLS_PER_OCTAVE, dtype=torch.float64, device="cpu")
    halves = 0.5 ** torch.arange(OCTAVES, dtype=torch.float64, device="cpu")
    octaves = halves[:, None] * (1 - steps / (2 * CELLS_PER_OCTAVE))
    last = 0.5**OCTAVES * (1 - steps / CELLS_PER_OCTAVE)
    distance = torch.cat([octaves.flatten(), last])
    return (1 - distance[1:]).to(device=device, dtype=dtype)


def grid_stats(confidence: Confidence, correct: Correct) -> BinStats:
    """Sum a batch into the cells of the grid; merge batches with :func:`~adafocal.calibration.merge`.

    Args:
        confidence: Values in [0, 1] of shape (N,); N may be 0.
        correct: Whether the event happened, shape (N,).

    Returns:
        The sums per cell, 4,352 of them whatever N; every sample is in exactly one cell (a, b].

    Raises:
        TypeError: If ``confidence`` is not floating point.
        ValueError: If the shapes differ or are not one-dimensional.

    Example:
        >>> stats = grid_stats(torch.tensor([0.4, 0.9]), torch.tensor([True, False]))
        >>> join_cells(stats, torch.tensor([0.5])).gap
        tensor([-0.6000,  0.9000], dtype=torch.float64)
    """
    confidence, correct = checked_event(confidence, correct, empty=True)
    return sum_cells(confidence, correct)


def sum_cells(confidence: Confidence, correct: Correct) -> BinStats:
    """Give what :func:`grid_stats` gives, without its checks."""
    dtype = torch.float64 if confidence.dtype == torch.float64 else torch.float32
    edges = _edges(dtype, confidence.device)
    return sum_bins(confidence, correct, edges, _cells(confidence, edges))


@lru_cache
def _edges(dtype: torch.dtype, device: torch.device) -> Tensor:
    return grid_edges(dtype=dtype, device=device)


def _cells(confidence: Tensor, edges: Tensor) -> Tensor:
    if confidence.dtype == torch.float64 or confidence.device.type == "mps":
        return find_bins(confidence, edges)
    # The leading bits of a float64 are its octave and its place there: the cell without a search. 1 - p is exact.
    distance = 1 - confidence.double()
    leading = distance.view(torch.int64) >> 44
    by_octave = 1023 * CELLS_PER_OCTAVE - 1 - leading
    by_step = N_CELLS - 1 - (distance * 2.0**24).floor().long()
    return torch.where(distance < 0.5**OCTAVES, by_step, by_octave).clamp(0, N_CELLS - 1)


def join_cells(stats: BinStats, edges: InnerEdges) -> BinStats:
    """Join cells into coarser bins.

    Args:
        stats: Sums over fine cells.
        edges: Inner edges of shape (n_bins - 1,). A cell counts in the bin that holds its upper edge.

    Returns:
        The sums per bin: exact where ``edges`` are edges of ``stats``.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If ``stats`` are no sums of events, or ``edges`` fall or leave [0, 1].

    Example:
        >>> stats = grid_stats(torch.tensor([0.4, 0.9]), torch.tensor([True, False]))
        >>> join_cells(stats, torch.tensor([0.5])).count
        tensor([1, 1])
    """
    check_stats(stats)
    check_edges(edges)
    return joined_cells(stats, edges)


def joined_cells(stats: BinStats, edges: InnerEdges) -> BinStats:
    """Give what :func:`join_cells` gives, without its checks."""
    upper = torch.cat([stats.edges, stats.edges.new_ones(1)])
    index = find_bins(upper, edges.to(upper))

    def joined(values: Tensor) -> Tensor:
        return values.new_zeros(edges.numel() + 1).index_add_(0, index, values)

    return BinStats(edges, joined(stats.count), joined(stats.confidence_sum), joined(stats.correct_sum))


def joined_equal_mass(stats: BinStats, n_bins: int) -> BinStats:
    """Join cells into bins of about equal mass.

    Edge k is the upper edge of the cell that holds the sample of rank ceil(k N / n_bins), so a bin's size differs from
    that of exact equal-mass bins by at most the samples of one cell at each end.

    Args:
        stats: Sums over fine cells, with at least one sample.
        n_bins: Number of bins, at least 1.

    Returns:
        The sums per bin with the edges used, all edges of ``stats``; some bins may be empty.

    Raises:
        TypeError: If ``n_bins`` is not an integer.
        ValueError: If ``n_bins`` is below 1 or there is no sample.

    Example:
        >>> stats = grid_stats(torch.tensor([0.1, 0.2, 0.8, 0.9]), torch.tensor([False, False, True, True]))
        >>> joined_equal_mass(stats, n_bins=2).count
        tensor([2, 2])
    """
    check_integer("n_bins", n_bins, minimum=1)
    _check_samples(stats)
    return joined_cells(stats, _equal_mass_edges(stats, stats.count.cumsum(0), n_bins))


def _equal_mass_edges(stats: BinStats, cumulative: Tensor, n_bins: int) -> Tensor:
    cuts = torch.arange(1, n_bins, device=cumulative.device)
    ranks = (cuts * cumulative[-1] + n_bins - 1) // n_bins
    cell = torch.searchsorted(cumulative, ranks)
    return torch.cat([stats.edges, stats.edges.new_ones(1)])[cell]


def joined_sweep(stats: BinStats) -> BinStats:
    """Join cells into the most equal-mass bins whose accuracy does not fall with confidence.

    Args:
        stats: Sums over fine cells, with at least one sample.

    Returns:
        The sums per bin; one bin where two already fall. Its :func:`~adafocal.calibration.binned_error` is the
        monotonic-sweep calibration error, with at most one bin per occupied cell and at most 2,000.

    Raises:
        ValueError: If there is no sample.

    Example:
        >>> stats = grid_stats(torch.tensor([0.6, 0.7, 0.8, 0.9]), torch.tensor([False, True, False, True]))
        >>> joined_sweep(stats).count
        tensor([2, 2])

    Reference:
        Roelofs, Cain, Shlens and Mozer, "Mitigating bias in calibration error estimation", AISTATS 2022,
        https://arxiv.org/abs/2012.08668, algorithm 1.
    """
    _check_samples(stats)
    cumulative = stats.count.cumsum(0)
    best = joined_equal_mass(stats, 1)
    for n_bins in range(2, min(MAX_BINS, int((stats.count > 0).sum())) + 1):
        finer = joined_cells(stats, _equal_mass_edges(stats, cumulative, n_bins))
        accuracy = finer.accuracy[finer.count > 0]
        if bool((accuracy.diff() < 0).any()):
            break
        best = finer
    return best


def grid_ks_error(stats: BinStats) -> Scalar:
    """Give the largest gap between cumulated confidence and cumulated accuracy, at the edges of the cells.

    Formula: ``max_k |sum over the first k cells of (confidence - correct)| / N``.

    Args:
        stats: Sums over fine cells.

    Returns:
        A scalar in [0, 1], a fraction; lower is better. At most the exact KS calibration error, and below it by at most
        the share of the samples in one cell. NaN when there is no sample.

    Example:
        >>> grid_ks_error(grid_stats(torch.tensor([0.8, 0.8]), torch.tensor([True, False])))
        tensor(0.3000, dtype=torch.float64)

    Reference:
        Gupta, Rahimi, Ajanthan, Mensink, Sminchisescu and Hartley, "Calibration of neural networks using splines",
        ICLR 2021, https://arxiv.org/abs/2006.12800, section 3.
    """
    check_stats(stats)
    n = stats.count.sum()
    largest = (stats.confidence_sum - stats.correct_sum).cumsum(0).abs().max()
    return torch.where(n > 0, largest / n.clamp_min(1), torch.nan)


def _check_samples(stats: BinStats) -> None:
    check_stats(stats)
    if int(stats.count.sum()) == 0:
        raise InvalidValueError("`stats` must hold at least one sample, got 0.")
