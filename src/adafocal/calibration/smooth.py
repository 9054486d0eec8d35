# SPDX-License-Identifier: Apache-2.0
"""The smooth calibration error: gaps smoothed by a kernel instead of cut into bins."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, SampleWeight, Scalar
from adafocal._values import weighted_event
from adafocal.calibration.bins import BinStats
from adafocal.calibration.cells import single_cells
from adafocal.calibration.measure import PredictionMeasure

GRID = 16384  # sixteen points per smallest bandwidth
SMALLEST_BANDWIDTH = 1e-3
BISECTIONS = 20


@documented
def smooth_calibration_error(
    confidence: Given[Confidence], correct: Given[Correct], *, sample_weight: Given[SampleWeight] | None = None
) -> Scalar:
    """Measure the calibration error without bins, at the scale of the error itself.

    Use it to compare models without choosing a number of bins: it moves continuously with the confidences, where an
    error in bins jumps. It is at most about the ``l1`` error of the model, because gaps that change sign within a
    bandwidth cancel. The calibrated event is the one that ``correct`` records. Sampling noise makes it positive for a
    calibrated model.

    Formula: with r_i = confidence_i - correct_i and K_s the Gaussian kernel of bandwidth s reflected at 0 and 1,
    smECE_s is the integral over t in [0, 1] of ``|(1/N) sum_i r_i K_s(t, confidence_i)|``; the result is smECE_s at the
    bandwidth where smECE_s = s, not below 0.001.

    Returns:
        A scalar in [0, 1], float64, a fraction; lower is better.

    Example:
        >>> smooth_calibration_error(torch.tensor([0.8, 0.8]), torch.tensor([True, False]))
        tensor(0.3000, dtype=torch.float64)

    Reference:
        Błasiok and Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing", ICLR 2024,
        https://arxiv.org/abs/2309.12236 (smECE with the reflected Gaussian kernel at its fixed point).

    Differs from the paper: nothing but the numerics. Residuals are interpolated on 16,384 points and the kernel is
    applied exactly; the authors' package relplot 1.0.3 evaluates on coarser points and ends the kernel at a distance of
    0.5, so values differ by up to 0.002 from 500 samples on.
    """
    confidence, correct, weight = weighted_event(confidence, correct, sample_weight, empty=False)
    return smoothed_gap(single_cells(confidence, correct, weight))


def smoothed_gap(cells: BinStats) -> Scalar:
    """Compute the smooth calibration error of at least one sample, each cell's samples at their mean."""
    residuals = sums_on_grid(cells.confidence, cells.confidence_sum - cells.correct_sum)
    return smooth_error(residuals / cells.count.sum())


def sums_on_grid(confidence: Confidence, values: Tensor) -> Tensor:
    """Sum values of the wide dtype on ``GRID`` cell centres, each sample shared by its two neighbours."""
    position = confidence.to(values).mul(GRID).sub_(0.5).clamp_(0, GRID - 1)
    left = position.int().clamp_max_(GRID - 2)
    to_right = position.sub_(left).mul_(values)
    sums = torch.zeros(GRID, dtype=values.dtype, device=values.device)
    return sums.index_add_(0, left, values - to_right).index_add_(0, left + 1, to_right)


def smooth_error(residuals: Tensor) -> Scalar:
    """Find the bandwidth that equals the error of mean residuals on the grid, and so the error."""
    smoothed = spread(residuals)
    low, high = residuals.new_tensor(SMALLEST_BANDWIDTH), residuals.new_tensor(1.0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        too_narrow = smoothed(middle).abs().sum() > middle
        low, high = torch.where(too_narrow, middle, low), torch.where(too_narrow, high, middle)
    return smoothed(high).abs().sum()


def spread(sums: Tensor) -> Callable[[Tensor | float], Tensor]:
    """Prepare sums on the grid for smoothing by the reflected kernel, of any bandwidth."""
    # Reflection at 0 and 1 makes the signal even and periodic: smoothing is a product with its cosine series.
    spectrum = torch.fft.rfft(torch.cat([sums, sums.flip(0)]))
    frequency = math.pi * torch.arange(len(spectrum), dtype=sums.dtype, device=sums.device)

    def at(bandwidth: Tensor | float) -> Tensor:
        smoothed: Tensor = torch.fft.irfft(spectrum * (-0.5 * (frequency * bandwidth).square()).exp(), n=2 * GRID)
        return smoothed[:GRID]

    return at


SMOOTH_ECE = PredictionMeasure(
    name="smooth_ece",
    title="smooth ECE",
    about="Smooth calibration error, no bins.",
    compute=lambda sums: smoothed_gap(sums.cells),
    in_stream="cell",
    is_the_gap=True,
)
