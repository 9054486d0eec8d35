# SPDX-License-Identifier: Apache-2.0
"""Sums per bin: all that ECE, MCE, reliability diagrams and the AdaFocal update need. Merging is adding."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import can_read, check_choice
from adafocal._docs import documented
from adafocal._dtypes import at_least_float32, wide_dtype
from adafocal._shapes import (
    ClassIndex,
    Confidence,
    Correct,
    CountInBins,
    Given,
    InnerEdges,
    PerBin,
    SampleWeight,
    SumInBins,
)
from adafocal._sums import KEPT, Sums, check_sums
from adafocal._values import check_edges, weighted_event
from adafocal.calibration.edges import find_bins
from adafocal.errors import InvalidTypeError, InvalidValueError

NORMS = ("l1", "l2", "max")
IN_CACHE, PIECE = 1 << 15, 1 << 18  # bins, and samples, at a time
SUM_ROUNDING = 1e-3  # as far as rounding may take a confidence above 1


@dataclass(frozen=True, eq=False)
class BinStats(Sums):
    """Count, confidence sum and correct sum per bin, with the edges they belong to.

    Sums of several events in the same bins, such as those of every class, have leading axes.

    Attributes:
        edges: Inner edges of shape (n_bins - 1,); bin i is (edges[i - 1], edges[i]].
        count: Samples per bin, int64, shape (n_bins,); with weights the sum of theirs, floating point.
        confidence_sum: Sum of the confidences per bin, float64 where the device has it, shape (n_bins,).
        correct_sum: Sum of ``correct`` per bin, like ``confidence_sum``.
        square_sum: With weights the sum of their squares per bin; None where each sample counts once.
    """

    made_by = "bin_stats"
    edges: InnerEdges = field(metadata=KEPT)
    count: CountInBins
    confidence_sum: SumInBins
    correct_sum: SumInBins
    square_sum: SumInBins | None = None

    @classmethod
    def empty(cls, edges: InnerEdges, *rows: int) -> "BinStats":
        """Start from nothing: zeros over bins of these inner edges, with leading axes of sizes ``rows``."""
        shape, dtype = (*rows, len(edges) + 1), wide_dtype(edges.device)
        count = torch.zeros(shape, dtype=torch.int64, device=edges.device)
        return cls(edges, count, *torch.zeros((2, *shape), dtype=dtype, device=edges.device).unbind())

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return self.count.shape[-1]

    @property
    def confidence(self) -> SumInBins:
        """Mean confidence per bin, a fraction; 0 for an empty bin."""
        return self.confidence_sum / at_least_one(self.count)

    @property
    def accuracy(self) -> SumInBins:
        """Share of correct samples per bin, a fraction; 0 for an empty bin."""
        return self.correct_sum / at_least_one(self.count)

    @property
    def gap(self) -> SumInBins:
        """Mean confidence minus accuracy per bin, in [-1, 1], positive where over-confident; 0 for an empty bin."""
        return (self.confidence_sum - self.correct_sum) / at_least_one(self.count)

    @property
    def weight(self) -> SumInBins:
        """Share of all samples per bin, summing to 1; all zero when there are no samples."""
        return self.count.to(self.confidence_sum.dtype) / at_least_one(self.count.sum(dim=-1, keepdim=True))

    def pieces(self) -> "Iterator[BinStats]":
        """The same sums, some bins at a time, for what adds up over millions of bins.

        What is computed of a piece stays in the cache, and in memory that the process holds: whole tensors of more
        than 32 MB are given back and taken anew, page by page, at every step.
        """
        for first in range(0, self.n_bins, IN_CACHE):
            part = slice(first, first + IN_CACHE)
            squares = None if self.square_sum is None else self.square_sum[part]
            sums = self.count[part], self.confidence_sum[part], self.correct_sum[part]
            yield BinStats(self.edges[first : first + len(sums[0]) - 1], *sums, squares)

    def like(self, other: "BinStats") -> "BinStats":
        """The same sums, with squares of weights, all 1, if the other sums have some."""
        if self.square_sum is not None or other.square_sum is None:
            return self
        count = self.count.to(self.confidence_sum)
        return BinStats(self.edges, count, self.confidence_sum, self.correct_sum, count)

    @property
    def samples(self) -> CountInBins:
        """How many samples each bin counts as: whole weights are repeated samples, others their effective number."""
        if self.square_sum is None:
            return self.count
        return torch.where(self.whole, self.count, self.effective)

    @property
    def whole(self) -> Tensor:
        """Whether all weights are whole numbers, as their sums tell."""
        squares = self.count if self.square_sum is None else self.square_sum
        return ((self.count == self.count.round()) & (squares == squares.round())).all()

    @property
    def effective(self) -> CountInBins:
        """Effective number of samples per bin: with weights (sum w)^2 / sum w^2, else their number."""
        if self.square_sum is None:
            return self.count
        return self.count.square() / at_least_one(self.square_sum)

    def compute(self, *, norm: str = "l1", debias: bool = False) -> Tensor:
        """Compute the error of :func:`~adafocal.calibration.binned_error`, without reading values; one for each row."""
        check_choice("norm", norm, NORMS)
        if debias and norm == "max":
            raise InvalidValueError("`debias` must be False for norm 'max', got True.")
        if norm == "max":
            error = self.gap.abs().amax(dim=-1)
        elif norm == "l2":
            plain = (self.weight * self.gap.square()).sum(dim=-1)
            square = debiased_square(self.accuracy, self.confidence, self.count, self.samples) if debias else plain
            error = square.clamp_min(0).sqrt()
        else:
            gaps = self.gap.abs()
            error = (self.weight * (2 * gaps - _mean_redrawn_gap(self) if debias else gaps)).sum(dim=-1).clamp_min(0)
        return torch.where(self.count.sum(dim=-1) > 0, error, torch.nan)


def at_least_one(count: Tensor) -> Tensor:
    """A count or sum of weights to divide by: 1 in place of 0."""
    return torch.where(count > 0, count, 1)


def debiased_square(accuracy: Tensor, confidence: Tensor, count: Tensor, n: Tensor | None = None) -> Tensor:
    """Sum w_b (gap_b^2 - variance_b) over the last axis; a bin of one sample counts nothing.

    With weights ``count`` is the sum of theirs, and the variance is that of ``n`` samples.
    """
    weight = count.to(accuracy) / count.sum(dim=-1, keepdim=True)
    n = count if n is None else n
    variance = accuracy * (1 - accuracy) / (n - 1).clamp_min(1)
    squares = torch.where(n > 1, (confidence - accuracy).square() - variance, 0.0)
    return (weight * squares).sum(dim=-1)


def _mean_redrawn_gap(stats: BinStats) -> Tensor:
    """E|gap + sd Z| for a standard normal Z: the mean of a folded normal distribution."""
    gap = stats.gap.abs()
    sd = (stats.accuracy * (1 - stats.accuracy) / at_least_one(stats.samples)).sqrt()
    ratio = gap / (sd * math.sqrt(2)).clamp_min(torch.finfo(sd.dtype).tiny)
    return sd * math.sqrt(2 / math.pi) * (-ratio.square()).exp() + gap * torch.erf(ratio)


@documented
def bin_stats(
    confidence: Given[Confidence],
    correct: Given[Correct],
    edges: Given[InnerEdges],
    *,
    sample_weight: Given[SampleWeight] | None = None,
) -> BinStats:
    """Sum a batch into bins.

    Args:
        confidence: Values in [0, 1] of shape (N,); N may be 0.
        correct: Booleans, or numbers in [0, 1], of shape (N,): did the event that ``confidence`` speaks of happen?
        edges: Inner edges in [0, 1], shape (n_bins - 1,), non-decreasing.
        sample_weight: How much each sample counts, finite and >= 0, shape (N,); None: each counts once.

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
    confidence, correct, weight = weighted_event(confidence, correct, sample_weight)
    check_edges(edges)
    return sum_bins(confidence, correct, edges, None, weight)


def sum_bins(
    confidence: Confidence,
    correct: Correct,
    edges: InnerEdges,
    index: ClassIndex | None = None,
    weight: SampleWeight | None = None,
) -> BinStats:
    """Sum as :func:`bin_stats` does, without its checks; ``index`` is the bin of each sample where it is known."""
    if index is not None:
        return BinStats(edges, *sums_per_bin(confidence, correct, index, edges.numel() + 1, weight))
    limits = edges.to(confidence.dtype)
    return sum_placed(confidence, correct, edges, lambda some: find_bins(some, limits), weight)


def sum_placed(
    confidence: Confidence,
    correct: Correct,
    edges: InnerEdges,
    place: Callable[[Tensor], Tensor],
    weight: SampleWeight | None = None,
) -> BinStats:
    """Sum as :func:`sum_bins` does, some samples at a time, into the bins in which ``place`` puts their confidences."""
    columns = (confidence, correct) if weight is None else (confidence, correct, weight)
    pieces = zip(*(torch.split(column, PIECE) for column in columns), strict=True)
    parts = [sums_per_bin(some, right, place(some), len(edges) + 1, *heavy) for some, right, *heavy in pieces]
    return BinStats(edges, *(torch.stack(sums).sum(dim=0) for sums in zip(*parts, strict=True)))


def sums_per_bin(
    confidence: Confidence, correct: Correct, index: ClassIndex, n_bins: int, weight: SampleWeight | None = None
) -> tuple[Tensor, ...]:
    """Give count, confidence sum and correct sum per bin, and of weights the sum of squares, as :class:`BinStats`."""
    if weight is not None:
        wide = weight.to(wide_dtype(weight.device))
        parts = (wide, wide * confidence.to(wide), wide * correct.to(wide), wide.square())
        return tuple(_sum_per_bin(part, index, n_bins) for part in parts)
    plain = can_read(confidence) and not confidence.requires_grad and confidence.numel() > 0
    if plain and correct.dtype == torch.bool:
        # A call of NumPy costs a quarter of one of PyTorch, which is what batches of a few thousand consist of.
        place, sure = index.numpy().astype(np.intp, copy=False), at_least_float32(confidence).numpy()
        pairs = np.bincount(2 * place + correct.numpy(), minlength=2 * n_bins)
        wrong, right = pairs[::2], pairs[1::2]
        sums = wrong + right, np.bincount(place, sure, n_bins), right.astype(np.float64)
        return tuple(map(torch.from_numpy, sums))
    ones = torch.ones_like(index, dtype=torch.int64)
    count = torch.zeros(n_bins, dtype=torch.int64, device=index.device).index_add_(0, index, ones)
    return count, _sum_per_bin(confidence, index, n_bins), _sum_per_bin(correct, index, n_bins)


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
    check_sums("first", first, BinStats)
    return first.merge(second)


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
