# SPDX-License-Identifier: Apache-2.0
"""The Kolmogorov-Smirnov and the smooth calibration error."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adafocal.calibration import (
    BinStats,
    expected_calibration_error,
    ks_calibration_error,
    overconfidence,
    smooth_calibration_error,
)
from adafocal.calibration.smooth import GRID, smoothed_gap, sums_on_grid
from calibration.strategies import quick, samples


@pytest.mark.parametrize("estimator", [ks_calibration_error, smooth_calibration_error])
class TestBoth:
    @quick
    @given(data=samples(), seed=st.integers(0, 100))
    def test_the_order_of_the_samples_does_not_matter(self, estimator, data, seed):
        confidence, correct = data
        order = torch.randperm(len(confidence), generator=torch.Generator().manual_seed(seed))

        torch.testing.assert_close(
            estimator(confidence, correct), estimator(confidence[order], correct[order]), rtol=0, atol=1e-9
        )

    @quick
    @given(data=samples())
    def test_it_lies_between_the_mean_gap_and_the_mean_absolute_residual(self, estimator, data):
        confidence, correct = data
        error = estimator(confidence, correct).item()

        assert abs(overconfidence(confidence, correct).item()) <= error + 1e-9
        assert error <= (confidence - correct.double()).abs().mean().item() + 1e-9

    def test_a_gap_of_one_sign_is_the_mean_gap(self, estimator):
        confidence = torch.rand(300, dtype=torch.float64)
        error = estimator(confidence, torch.zeros(300))

        assert error.item() == pytest.approx(confidence.mean().item(), abs=1e-9)

    @pytest.mark.parametrize("confidence", [0.0, 1.0])
    @pytest.mark.parametrize("correct", [0, 1])
    def test_a_single_certain_sample_errs_by_all_or_nothing(self, estimator, confidence, correct):
        error = estimator(torch.tensor([confidence]), torch.tensor([correct]))

        assert error.item() == pytest.approx(abs(confidence - correct), abs=1e-9)

    def test_it_falls_with_the_square_root_of_the_samples_for_a_calibrated_model(self, estimator):
        means = []
        for n in (400, 6400):
            errors = []
            for _ in range(30):
                confidence = torch.rand(n, dtype=torch.float64)
                errors.append(estimator(confidence, torch.rand(n, dtype=torch.float64) < confidence).item())
            means.append(sum(errors) / len(errors))

        assert 2.0 < means[0] / means[1] < 5.5

    def test_bad_shapes_are_rejected(self, estimator, rejects):
        with rejects(ValueError, "`confidence` must have shape (N,) with N >= 1, got (0,)."):
            estimator(torch.zeros(0), torch.zeros(0))
        with rejects(ValueError, "`correct` must have the shape of `confidence`, (1,), got (2,)."):
            estimator(torch.zeros(1), torch.zeros(2))
        with rejects(TypeError, "`confidence` must be a floating-point tensor, got dtype torch.int64."):
            estimator(torch.tensor([1]), torch.tensor([1]))


def test_ks_is_the_largest_drift_at_distinct_confidences():
    confidence = torch.tensor([0.2, 0.5, 0.5, 0.9], dtype=torch.float64)
    correct = torch.tensor([False, True, False, False])

    # Drift after 0.2: 0.2 / 4; after both 0.5: 0.2 / 4; after 0.9: 1.1 / 4.
    assert ks_calibration_error(confidence, correct).item() == pytest.approx(1.1 / 4, abs=1e-12)


def test_ks_lets_equal_confidences_enter_together():
    confidence = torch.full((1000,), 0.5, dtype=torch.float64)

    assert ks_calibration_error(confidence, torch.arange(1000) < 500).item() == pytest.approx(0.0, abs=1e-12)


@quick
@given(data=samples())
def test_ks_is_at_most_the_error_of_single_confidences(data):
    confidence, correct = data
    finest = expected_calibration_error(confidence, correct, n_bins=len(confidence), binning="equal_mass")

    assert ks_calibration_error(confidence, correct).item() <= finest.item() + 1e-12


def test_smooth_error_is_that_of_relplot_within_its_grid(reference):
    # relplot 1.0.3 evaluates on steps of 0.005 and searches the bandwidth in steps of 0.001.
    stored = reference("peers_n1500")
    error = smooth_calibration_error(torch.from_numpy(stored["confidence"]), torch.from_numpy(stored["correct"]))

    assert error.item() == pytest.approx(stored["relplot_smooth_ece"].item(), abs=1e-3)


def reflected_by_the_book(confidence: torch.Tensor, residual: torch.Tensor, bandwidth: float) -> float:
    """Smooth with five reflections and integrate over a fine grid, straight from the definition."""
    t = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    images = torch.cat([2 * k + sign * confidence for k in range(-2, 3) for sign in (1, -1)])
    kernel = (-0.5 * ((t[:, None] - images) / bandwidth).square()).exp() / (bandwidth * math.sqrt(2 * math.pi))
    return ((kernel * residual.repeat(10)).sum(dim=1) / len(confidence)).abs().mean().item()


@pytest.mark.parametrize("power", [0.3, 1.0, 3.0])
def test_smooth_error_is_the_fixed_point_of_the_definition(power):
    confidence = torch.rand(200, dtype=torch.float64)
    correct = torch.rand(200, dtype=torch.float64) < confidence.pow(power)
    error = smooth_calibration_error(confidence, correct).item()

    assert reflected_by_the_book(confidence, confidence - correct.double(), error) == pytest.approx(error, abs=1e-5)


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0])
def test_below_the_smallest_bandwidth_the_kernel_keeps_its_width(distance):
    # One sure mistake and one sure hit at half a bandwidth, one or two from 0.5, among samples whose residuals cancel:
    # an error far below 0.001, which is then smoothed with 0.001 and not with itself.
    n, bandwidth, side = 10_000, 1e-3, distance * 1e-3
    confidence = torch.full((n,), 0.25, dtype=torch.float64)
    correct = torch.zeros(n)
    correct[: (n - 2) // 4 + 1] = 1
    confidence[-2:] = torch.tensor([0.5 + side, 0.5 - side], dtype=torch.float64)
    correct[-2:] = torch.tensor([0.0, 1.0])
    rest = abs(0.25 * (n - 2) - ((n - 2) // 4 + 1))
    # The integral of |phi(t - side) - phi(t + side)| is 2 (2 Phi(side / bandwidth) - 1).
    pair = (0.5 + side) * 2 * math.erf(side / bandwidth / math.sqrt(2))

    assert smooth_calibration_error(confidence, correct).item() == pytest.approx((pair + rest) / n, rel=2e-3)


@pytest.mark.parametrize(
    ("confidence", "shares"),
    [
        (0.0, {0: 1.0}),
        (1.0, {GRID - 1: 1.0}),
        (0.25 / GRID, {0: 1.0}),
        (0.5 / GRID, {0: 1.0}),
        (0.75 / GRID, {0: 0.75, 1: 0.25}),
        (100.5 / GRID, {100: 1.0}),
        (101.0 / GRID, {100: 0.5, 101: 0.5}),
        (1 - 1.25 / GRID, {GRID - 2: 0.75, GRID - 1: 0.25}),
        (1 - 0.75 / GRID, {GRID - 2: 0.25, GRID - 1: 0.75}),
    ],
)
def test_a_sample_is_shared_by_the_two_cell_centres_beside_it(confidence, shares):
    sums = sums_on_grid(torch.tensor([confidence], dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64))

    assert {int(place): sums[place].item() / 2 for place in sums.nonzero()[:, 0]} == pytest.approx(shares)


def test_a_cell_of_several_samples_weighs_as_much_as_they_do():
    cells = BinStats(
        edges=torch.tensor([0.3, 0.6]),
        count=torch.tensor([2, 0, 3]),
        confidence_sum=torch.tensor([0.4, 0.0, 2.4], dtype=torch.float64),
        correct_sum=torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64),
    )
    samples = torch.tensor([0.2, 0.2, 0.8, 0.8, 0.8]), torch.tensor([1, 0, 1, 0, 0])

    assert smoothed_gap(cells).item() == pytest.approx(smooth_calibration_error(*samples).item(), abs=1e-7)
