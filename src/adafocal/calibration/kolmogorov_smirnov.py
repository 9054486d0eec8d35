# SPDX-License-Identifier: Apache-2.0
"""The Kolmogorov-Smirnov calibration error: the largest drift between summed confidence and summed accuracy."""

import torch

from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, SampleWeight, Scalar
from adafocal._values import weighted_event
from adafocal.calibration.bins import BinStats, at_least_one, check_stats
from adafocal.calibration.cells import distinct_cells
from adafocal.calibration.measure import PredictionMeasure


@documented
def ks_calibration_error(
    confidence: Given[Confidence], correct: Given[Correct], *, sample_weight: Given[SampleWeight] | None = None
) -> Scalar:
    """Measure the largest difference between the cumulative sums of confidence and of correctness.

    It has no bins, and needs few samples. A gap of one sign adds up to the mean gap; gaps of changing sign partly
    cancel, so it is at most the calibration error in the ``l1`` norm without bins. The calibrated event is the one
    that ``correct`` records. Sampling noise makes it positive, of order N^(-1/2), for a calibrated model.

    Formula: ``max_t |(1/N) sum over {i: confidence_i <= t} of (confidence_i - correct_i)|``.

    Returns:
        A scalar in [0, 1], float64, a fraction; lower is better. Equal confidences enter together.

    Example:
        >>> ks_calibration_error(torch.tensor([0.6, 0.9]), torch.tensor([False, False]))
        tensor(0.7500, dtype=torch.float64)

    Reference:
        Gupta, Rahimi, Ajanthan, Mensink, Sminchisescu and Hartley, "Calibration of neural networks using splines",
        ICLR 2021, https://arxiv.org/abs/2006.12800 (the KS error).
    """
    return largest_drift(distinct_cells(*weighted_event(confidence, correct, sample_weight, empty=False)))


def grid_ks_error(stats: BinStats) -> Scalar:
    """Find the largest gap between cumulated confidence and cumulated accuracy, at the edges of the cells.

    Formula: ``max_k |sum over the first k cells of (confidence - correct)| / N``.

    Args:
        stats: Sums over fine cells.

    Returns:
        A scalar in [0, 1], a fraction; lower is better. At most :func:`ks_calibration_error`, and below it by at most
        the share of the samples in one cell. NaN when there is no sample.

    Example:
        >>> from adafocal.calibration import grid_stats
        >>> grid_ks_error(grid_stats(torch.tensor([0.8, 0.8]), torch.tensor([True, False])))
        tensor(0.3000, dtype=torch.float64)
    """
    check_stats(stats)
    return largest_drift(stats)


def largest_drift(cells: BinStats) -> Scalar:
    """Find the same as :func:`grid_ks_error`, without its checks."""
    n = cells.count.sum()
    largest = (cells.confidence_sum - cells.correct_sum).cumsum(0).abs().max()
    return torch.where(n > 0, largest / at_least_one(n), torch.nan)


KS = PredictionMeasure(
    name="ks",
    title="KS calibration error",
    about="Kolmogorov-Smirnov calibration error, no bins.",
    compute=lambda sums: largest_drift(sums.cells),
    in_stream="cell",
    is_the_gap=True,
)
