# SPDX-License-Identifier: Apache-2.0
"""Cells that every estimator takes, and coarser bins joined from them.

Cells are bins so fine that they stand for the samples themselves: those of data in memory hold one distinct confidence
each, so that all that follows from them is exact; those of a stream are the fixed grid of
:func:`~adafocal.calibration.grid_stats`.
"""

from itertools import pairwise

import torch
from torch import Tensor

from adafocal._checks import can_read, check_choice, check_integer
from adafocal._docs import documented
from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, Correct, Given, InnerEdges, SampleWeight
from adafocal._values import check_edges, check_not_empty
from adafocal.calibration.ascending import (
    AscendingEvents,
    ascending_events,
    ascending_places,
    run_ends,
    run_lengths,
    run_sums,
)
from adafocal.calibration.bins import BinStats, check_stats, sum_bins, sum_placed
from adafocal.calibration.edges import (
    assign_equal_width_bins,
    cut_masses,
    cut_ranks,
    equal_width_edges,
    mass_edges,
)
from adafocal.errors import InvalidValueError

BINNINGS = ("equal_width", "equal_mass")


def distinct_cells(confidence: Confidence, correct: Correct, weight: SampleWeight | None = None) -> BinStats:
    """Sum checked events into one cell per distinct confidence.

    The edges are these confidences, ascending, so that the last cell is an empty one above them.
    """
    check_not_empty("confidence", confidence)
    wide = wide_dtype(confidence.device)
    if weight is None and correct.dtype == torch.bool:
        values, happened = ascending_events(confidence, correct)
    else:
        values, places = ascending_places(confidence)
        happened, weight = correct[places], None if weight is None else weight.to(wide)[places]
    ends = run_ends(values)
    edges = values.index_select(0, ends - 1)
    ends = torch.cat([ends, ends[-1:]])
    if weight is not None:
        parts = (weight, weight * values, weight * happened, weight.square())
        return BinStats(edges, *(run_sums(part, ends) for part in parts))
    count = run_lengths(ends)
    if values.requires_grad:  # of each value, not of the last of a run alone
        return BinStats(edges, count, run_sums(values, ends), run_sums(happened, ends))
    confidence_sum = torch.cat([edges, edges[-1:]]).to(wide).mul_(count)
    return BinStats(edges, count, confidence_sum, run_sums(happened, ends))


def single_cells(confidence: Confidence, correct: Correct, weight: SampleWeight | None = None) -> BinStats:
    """Put each checked event in a cell of its own, without sorting: for what the order of cells does not matter to."""
    wide = wide_dtype(confidence.device)
    if weight is not None:
        held = weight.to(wide)
        return BinStats(confidence, held, held * confidence.to(wide), held * correct.to(wide), held.square())
    count = torch.ones_like(confidence, dtype=torch.int64)
    return BinStats(confidence, count, confidence.to(wide), correct.to(wide))


def sum_binned(
    confidence: Confidence, correct: Correct, *, n_bins: int, binning: str, weight: SampleWeight | None = None
) -> BinStats:
    """Sum checked events into bins of equal width or of equal mass."""
    check_choice("binning", binning, BINNINGS)
    check_not_empty("confidence", confidence)
    check_integer("n_bins", n_bins, minimum=1)
    if binning == "equal_mass" and weight is None and correct.dtype == torch.bool and can_read(confidence):
        return _sorted_bins(confidence, correct, n_bins)
    if binning == "equal_mass":
        return sum_bins(confidence, correct, mass_edges(confidence, n_bins, weight), None, weight)
    return equal_width_bins(confidence, correct, n_bins, weight)


def _sorted_bins(confidence: Confidence, correct: Correct, n_bins: int) -> BinStats:
    """Sum into bins of equal mass, which are runs of what is sorted."""
    ordered, wide = AscendingEvents(confidence, correct), wide_dtype(confidence.device)
    last = cut_ranks(len(confidence), n_bins, device=confidence.device) - 1
    ends = [0, *ordered.ends(last).tolist(), len(confidence)]
    sums = [[each.sum(dtype=wide) for each in ordered.part(slice(*run))] for run in pairwise(ends)]
    confidence_sum, correct_sum = (torch.stack(each) for each in zip(*sums, strict=True))
    edges, _ = ordered.part(last)
    return BinStats(edges.detach(), last.new_tensor(ends).diff(), confidence_sum, correct_sum)


def equal_width_bins(
    confidence: Confidence, correct: Correct, n_bins: int, weight: SampleWeight | None = None
) -> BinStats:
    """Sum checked events, also none, into bins of equal width with edges of their dtype."""
    edges = equal_width_edges(n_bins, dtype=confidence.dtype, device=confidence.device)
    return sum_placed(confidence, correct, edges, lambda some: assign_equal_width_bins(some, n_bins), weight)


@documented
def join_cells(stats: BinStats, edges: Given[InnerEdges]) -> BinStats:
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
        >>> from adafocal.calibration import grid_stats
        >>> stats = grid_stats(torch.tensor([0.4, 0.9]), torch.tensor([True, False]))
        >>> join_cells(stats, torch.tensor([0.5])).count
        tensor([1, 1])
    """
    check_stats(stats)
    check_edges(edges)
    ends = torch.searchsorted(upper_edges(stats), edges.to(stats.edges), right=True)
    return join_runs(stats, ends, edges)


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
        >>> from adafocal.calibration import grid_stats
        >>> stats = grid_stats(torch.tensor([0.1, 0.2, 0.8, 0.9]), torch.tensor([False, False, True, True]))
        >>> joined_equal_mass(stats, n_bins=2).count
        tensor([2, 2])
    """
    check_integer("n_bins", n_bins, minimum=1)
    check_samples(stats)
    return equal_mass_bins(stats, n_bins)


def equal_mass_bins(cells: BinStats, n_bins: int) -> BinStats:
    """Join as :func:`joined_equal_mass` does, without its checks."""
    last = equal_mass_cells(cells.count.cumsum(0), n_bins)
    return join_runs(cells, last + 1, upper_edges(cells)[last])


def equal_mass_cells(cumulative: Tensor, n_bins: int) -> Tensor:
    """Find the last cell of every bin of equal mass but the last, from the cumulated counts of the cells."""
    if cumulative.is_floating_point():
        return torch.searchsorted(cumulative, cut_masses(cumulative[-1], n_bins))
    return torch.searchsorted(cumulative, cut_ranks(int(cumulative[-1]), n_bins, device=cumulative.device))


def upper_edges(cells: BinStats) -> Tensor:
    """Upper edge of each cell."""
    return torch.cat([cells.edges, cells.edges.new_ones(1)])


def join_runs(cells: BinStats, ends: Tensor, edges: InnerEdges) -> BinStats:
    """Join runs of cells: bin b ends before cell ``ends[b]``, the last one with the last cell."""
    n_bins, outer = len(ends) + 1, ends.new_tensor([0, cells.n_bins])
    lengths = torch.cat([outer[:1], ends, outer[1:]]).diff()
    index = torch.arange(n_bins, device=ends.device).repeat_interleave(lengths)

    def joined(values: Tensor) -> Tensor:
        return values.new_zeros(n_bins).index_add_(0, index, values)

    squares = None if cells.square_sum is None else joined(cells.square_sum)
    return BinStats(edges, joined(cells.count), joined(cells.confidence_sum), joined(cells.correct_sum), squares)


def check_samples(stats: BinStats) -> None:
    """Raise unless these are sums of at least one event."""
    check_stats(stats)
    if float(stats.count.sum()) == 0:
        raise InvalidValueError("`stats` must hold at least one sample, got 0.")
