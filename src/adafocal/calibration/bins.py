# SPDX-License-Identifier: Apache-2.0
"""Sums per bin: all that ECE, MCE, reliability diagrams and the AdaFocal update need. Merging is adding."""

from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._checks import check_floating, check_same_shape
from adafocal._ranks import sum_over_ranks
from adafocal._shapes import ClassIndex, Confidence, Correct, CountPerBin, InnerEdges, PerBin
from adafocal.calibration.edges import assign_bins
from adafocal.errors import InvalidValueError


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
        """Give the same sums on another device."""
        return BinStats(
            self.edges.to(device), self.count.to(device), self.confidence_sum.to(device), self.correct_sum.to(device)
        )


def wide_dtype(device: torch.device) -> torch.dtype:
    """Give the dtype in which sums are kept on ``device``: float64, or float32 where there is none."""
    return torch.float32 if device.type == "mps" else torch.float64


def bin_stats(confidence: Confidence, correct: Correct, edges: InnerEdges) -> BinStats:
    """Sum a batch into bins.

    Args:
        confidence: Values in [0, 1] of shape (N,); N may be 0. Values are not checked.
        correct: Booleans, or numbers in [0, 1], of shape (N,): did the event that ``confidence`` speaks of happen?
        edges: Inner edges of shape (n_bins - 1,).

    Returns:
        The sums per bin. Every sample is in exactly one bin.

    Raises:
        TypeError: If ``confidence`` or ``edges`` is not floating point.
        ValueError: If the shapes of ``confidence`` and ``correct`` differ or are not one-dimensional.

    Example:
        >>> stats = bin_stats(torch.tensor([0.4, 0.9]), torch.tensor([True, False]), torch.tensor([0.5]))
        >>> stats.gap
        tensor([-0.6000,  0.9000], dtype=torch.float64)
    """
    check_floating("confidence", confidence)
    check_floating("edges", edges)
    if confidence.ndim != 1:
        raise InvalidValueError(f"`confidence` must have shape (N,), got {tuple(confidence.shape)}.")
    check_same_shape("correct", correct, "confidence", confidence)
    return sum_bins(confidence, correct, edges, assign_bins(confidence, edges))


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
        The sums of both parts. Exact for counts, to float64 rounding for sums.

    Raises:
        ValueError: If the edges differ.

    Example:
        >>> part = bin_stats(torch.tensor([0.4, 0.9]), torch.tensor([True, False]), torch.tensor([0.5]))
        >>> merge(part, part).count
        tensor([2, 2])
    """
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
