# SPDX-License-Identifier: Apache-2.0
"""Sums per bin: all that ECE, MCE, reliability diagrams and the AdaFocal update need. Merging is adding."""

from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._dtypes import keeping_dtype, wide_dtype
from adafocal._ranks import sum_over_ranks
from adafocal._shapes import ClassIndex, Confidence, Correct, CountPerBin, InnerEdges, PerBin
from adafocal._values import check_edges, checked_event
from adafocal.calibration.edges import find_bins
from adafocal.errors import InvalidTypeError, InvalidValueError

SUM_ROUNDING = 1e-3  # as far as rounding may take a confidence above 1


@dataclass(frozen=True)
class BinStats:
    """Count, confidence sum and correct sum per bin, with the edges they belong to.

    Attributes:
        edges: Inner edges of shape (n_bins - 1,); bin i is (edges[i - 1], edges[i]].
        count: Samples per bin, int64, shape (n_bins,).
        confidence_sum: Sum of the confidences per bin, float64 where the device has it, shape (n_bins,).
        correct_sum: Sum of ``correct`` per bin, like ``confidence_sum``.
    """

    edges: InnerEdges
    count: CountPerBin
    confidence_sum: PerBin
    correct_sum: PerBin

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return self.count.numel()

    @property
    def confidence(self) -> PerBin:
        """Mean confidence per bin, a fraction; 0 for an empty bin."""
        return self.confidence_sum / self.count.clamp_min(1)

    @property
    def accuracy(self) -> PerBin:
        """Share of correct samples per bin, a fraction; 0 for an empty bin."""
        return self.correct_sum / self.count.clamp_min(1)

    @property
    def gap(self) -> PerBin:
        """Mean confidence minus accuracy per bin, in [-1, 1], positive where over-confident; 0 for an empty bin."""
        return (self.confidence_sum - self.correct_sum) / self.count.clamp_min(1)

    @property
    def weight(self) -> PerBin:
        """Share of all samples per bin, summing to 1; all zero when there are no samples."""
        return self.count.to(self.confidence_sum.dtype) / self.count.sum().clamp_min(1)

    def to(self, device: torch.device | str) -> "BinStats":
        """Give the same sums on another device, as wide as it has numbers."""
        if isinstance(device, (torch.dtype, Tensor)):
            raise InvalidTypeError(f"`device` must be a device, got {device}: sums keep their dtype.")
        sums = (self.edges, self.count, self.confidence_sum, self.correct_sum)
        return BinStats(*(keeping_dtype(lambda part: part.to(device))(part) for part in sums))


def bin_stats(confidence: Confidence, correct: Correct, edges: InnerEdges) -> BinStats:
    """Sum a batch into bins.

    Args:
        confidence: Values in [0, 1] of shape (N,); N may be 0.
        correct: Booleans, or numbers in [0, 1], of shape (N,): did the event that ``confidence`` speaks of happen?
        edges: Inner edges in [0, 1], shape (n_bins - 1,), non-decreasing.

    Returns:
        The sums per bin. Every sample is in exactly one bin.

    Raises:
        TypeError: If ``confidence`` or ``edges`` is not a floating-point tensor.
        ValueError: If the shapes of ``confidence`` and ``correct`` differ or are not one-dimensional, a value is not in
            [0, 1], or ``edges`` fall.

    Example:
        >>> stats = bin_stats(torch.tensor([0.4, 0.9]), torch.tensor([True, False]), torch.tensor([0.5]))
        >>> stats.gap
        tensor([-0.6000,  0.9000], dtype=torch.float64)
    """
    confidence, correct = checked_event(confidence, correct, empty=True)
    check_edges(edges)
    return sum_events(confidence, correct, edges)


def sum_events(confidence: Confidence, correct: Correct, edges: InnerEdges) -> BinStats:
    """Give what :func:`bin_stats` gives, without its checks."""
    return sum_bins(confidence, correct, edges, find_bins(confidence, edges.to(confidence.dtype)))


def sum_bins(confidence: Confidence, correct: Correct, edges: InnerEdges, index: ClassIndex) -> BinStats:
    """Sum a batch into bins whose ``index`` per sample is known; see :func:`bin_stats`."""
    n_bins = edges.numel() + 1
    return BinStats(
        edges=edges,
        count=torch.zeros(n_bins, dtype=torch.int64, device=index.device).index_add_(
            0, index, torch.ones_like(index, dtype=torch.int64)
        ),
        confidence_sum=_sum_per_bin(confidence, index, n_bins),
        correct_sum=_sum_per_bin(correct, index, n_bins),
    )


def _sum_per_bin(values: Tensor, index: Tensor, n_bins: int) -> PerBin:
    dtype = wide_dtype(values.device)
    return torch.zeros(n_bins, dtype=dtype, device=values.device).index_add_(0, index, values.to(dtype))


def merge(first: BinStats, second: BinStats) -> BinStats:
    """Add the sums of two parts of the data: the same as summing all of it at once.

    Args:
        first: Sums of one part.
        second: Sums of another part, with equal edges.

    Returns:
        The sums of both parts. Exact for counts, to float64 rounding for sums. Values are not read: sums that are no
        sums of events are refused where a number is computed from them.

    Raises:
        TypeError: If an argument is no :class:`BinStats`.
        ValueError: If the edges differ.

    Example:
        >>> part = bin_stats(torch.tensor([0.4, 0.9]), torch.tensor([True, False]), torch.tensor([0.5]))
        >>> merge(part, part).count
        tensor([2, 2])
    """
    for name, stats in (("first", first), ("second", second)):
        if not isinstance(stats, BinStats):
            raise InvalidTypeError(f"`{name}` must be BinStats, got {type(stats).__name__}: use bin_stats.")
    if not torch.equal(first.edges, second.edges):
        raise InvalidValueError("`second.edges` must equal `first.edges`: sums over different bins cannot be added.")
    return BinStats(
        edges=first.edges,
        count=first.count + second.count,
        confidence_sum=first.confidence_sum + second.confidence_sum,
        correct_sum=first.correct_sum + second.correct_sum,
    )


def stats_over_ranks(stats: BinStats) -> BinStats:
    """Add the sums of all processes of a distributed run, whose edges must be equal; every process must call this."""
    sums = (stats.count, stats.confidence_sum, stats.correct_sum)
    return BinStats(stats.edges, *(sum_over_ranks(values) for values in sums))


def check_stats(stats: BinStats) -> None:
    """Raise unless these are sums of events: counts of at least 0, and sums between 0 and the counts."""
    if not isinstance(stats, BinStats):
        raise InvalidTypeError(f"`stats` must be BinStats, got {type(stats).__name__}: use bin_stats or grid_stats.")
    highest = stats.count * (1 + SUM_ROUNDING)
    inside = [(sums >= 0) & (sums <= highest) for sums in (stats.confidence_sum, stats.correct_sum)]
    good = (stats.count >= 0) & inside[0] & inside[1]
    if not good.all():
        place = int((~good).nonzero()[0])
        count, confidence, correct = (
            float(sums[place]) for sums in (stats.count, stats.confidence_sum, stats.correct_sum)
        )
        raise InvalidValueError(
            "`stats` must hold sums between 0 and the count in each bin, "
            f"got count {count:g}, confidence_sum {confidence:g}, correct_sum {correct:g} in bin {place}."
        )
