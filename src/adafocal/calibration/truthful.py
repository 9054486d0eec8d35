# SPDX-License-Identifier: Apache-2.0
"""The averaged two-bin calibration error: a measure that rewards no other answer than the truth."""

import torch

from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, SampleWeight, Scalar
from adafocal._values import weighted_event
from adafocal.calibration.bins import BinStats, at_least_one
from adafocal.calibration.cells import distinct_cells
from adafocal.calibration.measure import PredictionMeasure


@documented
def two_bin_calibration_error(
    confidence: Given[Confidence], correct: Given[Correct], *, sample_weight: Given[SampleWeight] | None = None
) -> Scalar:
    """Measure the squared gaps of two bins, averaged over the place of the edge between them (ATB).

    Use it to choose between models by their calibration on few samples: its mean over samples is smallest for the
    true probabilities, whatever they are. Binned errors do not have that: on a sample the true probabilities have gaps
    by chance in every bin, and a constant near their mean has one bin alone, so that the expected calibration error is
    often lower for a model that knows less. It is a square: a gap of 2 % everywhere makes 0.0004.

    Formula: with G(t) = (1/N) sum over {i: confidence_i <= t} of (confidence_i - correct_i) and G = G(1), the integral
    over t from 0 to 1 of G(t)^2 + (G - G(t))^2. G(t) changes at the confidences alone, so the integral is a sum over
    the gaps between neighbouring ones. With drawn labels its mean is that of the squared gaps of the chances, plus
    sum_i q_i (1 - q_i) / N^2 for chances q_i, which no confidence changes.

    Returns:
        A scalar in [0, 1], float64; lower is better. At least half the squared mean gap, and at most 1.

    Example:
        >>> two_bin_calibration_error(torch.tensor([0.5, 0.75]), torch.tensor([True, False]))
        tensor(0.0625, dtype=torch.float64)

    Reference:
        Hartline, Hu and Wu, "A perfectly truthful calibration measure", COLT 2026, https://arxiv.org/abs/2508.13100
        (the definition, with both bins divided by N).
    """
    return averaged_two_bins(distinct_cells(*weighted_event(confidence, correct, sample_weight, empty=False)))


def averaged_two_bins(cells: BinStats) -> Scalar:
    """Compute :func:`two_bin_calibration_error` of cells, each with its samples at their mean."""
    n = at_least_one(cells.count.sum())
    whole = (cells.confidence_sum.sum() - cells.correct_sum.sum()) / n
    error, passed, at = torch.zeros_like(whole), torch.zeros_like(whole), torch.zeros_like(whole)
    for some in cells.pieces():
        below = passed + (some.confidence_sum - some.correct_sum).cumsum(0) / n
        # An empty cell stands where the one before it does, so that nothing lies between them.
        place = torch.cat([at[None], some.confidence.clamp(0, 1)]).cummax(0).values
        before = torch.cat([passed[None], below[:-1]])
        error += (place.diff() * (before.square() + (whole - before).square())).sum()
        passed, at = below[-1], place[-1]
    error += (1 - at) * (passed.square() + (whole - passed).square())
    return torch.where(cells.count.sum() > 0, error, torch.nan)


ATB = PredictionMeasure(
    name="atb",
    heading="ATB %",
    title="averaged two-bin error (ATB)",
    about="Averaged two-bin calibration error, a mean of squares: smallest in expectation for the true probabilities.",
    digits=3,
    compute=lambda sums: averaged_two_bins(sums.cells),
    in_stream="cell",
)
