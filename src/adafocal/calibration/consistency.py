# SPDX-License-Identifier: Apache-2.0
"""A test of the hypothesis that a model is calibrated, by drawing labels from its own confidences."""

import math

import torch
from torch import Tensor

from adafocal._checks import check_integer
from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, SampleWeight, Scalar
from adafocal._values import weighted_event
from adafocal.calibration.bins import BinStats, at_least_one, debiased_square
from adafocal.calibration.cells import distinct_cells, equal_mass_bins
from adafocal.calibration.measure import CHANCE, PredictionMeasure
from adafocal.calibration.sums import PredictionSums

CELLS_PER_BIN = 64
N_RESAMPLES = 999
DRAWN_AT_A_TIME = 1 << 20  # all of them for up to 16 bins of 64 cells; no more than 8 MiB per tensor for more bins
ROUNDING = 1e-12  # equal squares of opposite gaps differ in their last digit


@documented
def calibration_test(
    confidence: Given[Confidence],
    correct: Given[Correct],
    *,
    n_bins: int = 15,
    n_resamples: int = N_RESAMPLES,
    generator: torch.Generator | None = None,
    sample_weight: Given[SampleWeight] | None = None,
) -> Scalar:
    """Test the hypothesis that the model is calibrated, by drawing labels from its own confidences.

    A small p-value says that the observed error is larger than chance alone would make it. A large one does not prove
    calibration: with few samples even a large error passes. With many samples the smallest error is found, so read it
    beside :func:`rms_calibration_interval`.

    The statistic is the debiased square of the ``l2`` calibration error in equal-mass bins. Labels are drawn for cells
    of nearly equal confidence, at least 64 in a bin; with up to 64 ``n_bins`` samples these are the samples themselves.

    Args:
        correct: Whether the event happened, yes or no, shape (N,). Samples must be independent.
        n_bins: Number of equal-mass bins.
        n_resamples: Number of sets of labels drawn.
        generator: Source of randomness; without it a fixed seed is used, so the same data give the same p-value.
        sample_weight: How much each sample counts, finite and >= 0, shape (N,); None: each counts once. It tests by the
            effective number of samples, (sum w)^2 / sum w^2, also for whole weights.

    Returns:
        The p-value, in [1 / (n_resamples + 1), 1], float64. For a calibrated model it is at most p with probability p.

    Example:
        >>> confidence = torch.full((200,), 0.9)
        >>> calibration_test(confidence, torch.arange(200) < 150)
        tensor(0.0010, dtype=torch.float64)

    Reference:
        Bröcker and Smith, "Increasing the reliability of reliability diagrams", Weather and Forecasting 22(3), 2007
        (consistency resampling). Lee, Huang, Hassani and Dobriban, "T-Cal: an optimal test for the calibration of
        predictive models", JMLR 2023, https://arxiv.org/abs/2203.01850 (the debiased square as a test statistic).
    """
    check_integer("n_resamples", n_resamples, minimum=1)
    check_integer("n_bins", n_bins, minimum=1)
    cells = distinct_cells(*weighted_event(confidence, correct, sample_weight, yes_or_no=True))
    return cells_test(cells, n_bins, n_resamples=n_resamples, generator=generator)


def cells_test(
    cells: BinStats, n_bins: int, *, n_resamples: int = N_RESAMPLES, generator: torch.Generator | None = None
) -> Scalar:
    """Test what :func:`calibration_test` does on cells, those of its drawn labels being joined from them."""
    # Every bin edge is also a cell edge, so a bin is a row of cells.
    fine = equal_mass_bins(cells, n_bins * CELLS_PER_BIN)
    shape, squares = (n_bins, CELLS_PER_BIN), fine.square_sum
    return resampled_p_value(
        fine.count.view(shape),
        fine.confidence_sum.view(shape),
        fine.correct_sum.view(shape),
        None if squares is None else squares.view(shape),
        n_resamples=n_resamples,
        generator=generator,
    )


def resampled_p_value(
    count: Tensor,
    confidence_sum: Tensor,
    correct_sum: Tensor,
    square_sum: Tensor | None = None,
    *,
    n_resamples: int,
    generator: torch.Generator | None = None,
) -> Scalar:
    """Draw data sets, and count those with at least the observed debiased square; sums have shape (bins, cells).

    With weights as many labels are drawn for a cell as its effective number of samples, and each counts for its share.
    """
    if generator is None:
        generator = torch.Generator(count.device).manual_seed(0)
    in_bin, n, share = count.sum(dim=1), None, torch.ones_like(confidence_sum)
    confidence = confidence_sum.sum(dim=1) / at_least_one(in_bin)
    chance = (confidence_sum / at_least_one(count)).clamp(0, 1)
    trials = count.to(chance)
    if square_sum is not None:
        n = in_bin.square() / at_least_one(square_sum.sum(dim=1))
        trials = torch.where(count > 0, (count.square() / at_least_one(square_sum)).round().clamp_min(1), 0.0)
        share = count / at_least_one(trials)

    def square(happened: Tensor) -> Tensor:
        return debiased_square(happened.sum(dim=-1) / at_least_one(in_bin), confidence, in_bin, n)

    observed, as_large = square(correct_sum) - ROUNDING, in_bin.new_zeros(())
    rows = max(1, DRAWN_AT_A_TIME // count.numel())
    for start in range(0, n_resamples, rows):
        shape = (min(rows, n_resamples - start), *count.shape)
        drawn = torch.binomial(trials.expand(shape).contiguous(), chance.expand(shape).contiguous(), generator)
        as_large += (square(drawn * share) >= observed).sum()
    return (as_large + 1).to(confidence) / (n_resamples + 1)


def _p_value(sums: PredictionSums) -> Scalar:
    """No p-value where rows belong together: labels are drawn independently."""
    return cells_test(sums.cells, sums.bins.n_bins) if sums.clusters is None else sums.totals.new_tensor(math.nan)


P_CALIBRATED = PredictionMeasure(
    name="p_calibrated",
    question=CHANCE,
    heading="p",
    title="p-value of the test: is it calibrated?",
    unit="",
    about="P-value of the hypothesis that the model is calibrated, see :func:`calibration_test`.",
    compute=_p_value,
    better="neither",
    in_stream="drawn",
    least=1 / (N_RESAMPLES + 1),
    of_shares=False,
)
