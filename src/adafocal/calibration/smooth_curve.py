# SPDX-License-Identifier: Apache-2.0
"""The reliability diagram without bins: accuracy as a smooth curve over confidence."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._checks import check_integer, check_number
from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, SampleWeight
from adafocal._values import weighted_event
from adafocal.calibration.bins import BinStats
from adafocal.calibration.cells import check_samples, single_cells
from adafocal.calibration.smooth import GRID, SMALLEST_BANDWIDTH, smoothed_gap, spread, sums_on_grid

LARGEST_BANDWIDTH = 0.05


@dataclass(frozen=True, eq=False)
class SmoothCurve:
    """Accuracy against confidence, smoothed by a kernel.

    Attributes:
        confidence: Points, ascending, shape (k,).
        accuracy: Smoothed share of events at each point, a fraction, shape (k,).
        support: How many samples the share stands on, as if they all counted the same, shape (k,).
        bandwidth: Standard deviation of the kernel.
    """

    confidence: Tensor
    accuracy: Tensor
    support: Tensor
    bandwidth: float


@documented
def smooth_reliability(
    confidence: Given[Confidence],
    correct: Given[Correct],
    *,
    n_points: int = 200,
    min_support: float = 10.0,
    sample_weight: Given[SampleWeight] | None = None,
) -> SmoothCurve:
    """Smooth the accuracy over confidence, at the scale of the calibration error where that is small.

    Use it beside the bins of a reliability diagram, whose shape depends on where the edges lie. It is a kernel
    regression and no fit: at the ends of the range, where few samples lie, trust it as little as the bins there.

    Formula: accuracy(t) = Σ_i K_s(t, confidence_i) correct_i / Σ_i K_s(t, confidence_i) with the Gaussian kernel K_s
    reflected at 0 and 1, and s the smooth calibration error, at least 0.001 and at most 0.05. The support is
    2 √π s Σ_i K_s(t, confidence_i), the number of equally weighted samples of the same variance; weights that are not
    all whole count by their effective number.

    Args:
        n_points: Evenly spaced points in [0, 1] to look at, at least 2; those outside the confidences are left out.
        min_support: Points that stand on fewer samples are left out.

    Returns:
        The curve at k <= ``n_points`` points, float64; none where no point has the support.

    Example:
        >>> curve = smooth_reliability(torch.tensor([0.79, 0.81] * 20), torch.arange(40) < 20, n_points=6)
        >>> curve.accuracy, curve.bandwidth
        (tensor([0.5000], dtype=torch.float64), 0.05)

    Reference:
        Błasiok and Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing", ICLR 2024,
        https://arxiv.org/abs/2309.12236, section 4 (the diagram, with the bandwidth of smECE).

    Differs from the paper: the bandwidth is at most 0.05. A large error would otherwise smooth away the shape that the
        diagram is drawn for.
    """
    confidence, correct, weight = weighted_event(confidence, correct, sample_weight, empty=False)
    # Detached, because the bandwidth becomes a number.
    return _smoothed(single_cells(confidence.detach(), correct, weight), n_points, min_support)


def smooth_reliability_from_bins(stats: BinStats, *, n_points: int = 200, min_support: float = 10.0) -> SmoothCurve:
    """Smooth the accuracy from sums over fine cells, such as those of a stream; each cell's samples at their mean.

    Args:
        stats: Sums per cell, at least one of them not empty.
        n_points: Evenly spaced points to look at, at least 2.
        min_support: Points that stand on fewer samples are left out.

    Returns:
        The curve, as :func:`smooth_reliability` gives it.

    Raises:
        ValueError: If all cells are empty, or an option is out of range.

    Example:
        >>> from adafocal.calibration import grid_stats
        >>> cells = grid_stats(torch.full((40,), 0.8), torch.arange(40) < 20)
        >>> smooth_reliability_from_bins(cells).bandwidth
        0.05
    """
    check_samples(stats)
    return _smoothed(stats, n_points, min_support)


def _smoothed(cells: BinStats, n_points: int, min_support: float) -> SmoothCurve:
    check_integer("n_points", n_points, minimum=2)
    check_number("min_support", min_support, low=0.0, open_low=True)
    bandwidth = min(LARGEST_BANDWIDTH, max(SMALLEST_BANDWIDTH, float(smoothed_gap(cells))))
    confidence, count = cells.confidence, cells.count.to(cells.confidence_sum)
    place = torch.linspace(0, GRID - 1, n_points, dtype=torch.float64, device=count.device).round().long()
    points = ((place + 0.5) / GRID).to(count)
    of_count, of_correct = (spread(sums_on_grid(confidence, v))(bandwidth)[place] for v in (count, cells.correct_sum))
    support = 2 * math.sqrt(math.pi) * bandwidth * GRID * _samples(cells, of_count, bandwidth, place)
    half = 0.5 / (n_points - 1)
    lowest, highest = confidence[cells.count > 0].aminmax()
    held = (support >= min_support) & (points >= lowest - half) & (points <= highest + half)
    accuracy = (of_correct[held] / of_count[held]).clamp(0.0, 1.0)
    return SmoothCurve(points[held], accuracy, support[held], bandwidth)


def _samples(cells: BinStats, of_count: Tensor, bandwidth: float, place: Tensor) -> Tensor:
    """Smoothed numbers of samples: the counts; of weights that are not whole numbers, their effective number."""
    if cells.square_sum is None or cells.whole:
        return of_count
    of_square = spread(sums_on_grid(cells.confidence, cells.square_sum))(bandwidth)[place]
    return of_count.square() / of_square.clamp_min(torch.finfo(of_square.dtype).tiny)
