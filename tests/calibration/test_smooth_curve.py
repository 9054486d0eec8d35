# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from adafocal.calibration import grid_stats, smooth_calibration_error, smooth_reliability, smooth_reliability_from_bins
from adafocal.calibration.smooth import GRID


@pytest.fixture
def sample():
    confidence = 0.3 + 0.7 * torch.rand(3000, dtype=torch.float64)
    return confidence, torch.rand(3000) < confidence - 0.03


def test_the_curve_is_the_kernel_regression_at_the_bandwidth_of_the_smooth_error(sample):
    confidence, correct = sample
    curve = smooth_reliability(confidence, correct)
    s = float(smooth_calibration_error(confidence, correct))
    distance = torch.stack([curve.confidence[:, None] - c for c in (confidence, -confidence, 2 - confidence)])
    kernel = (-0.5 * (distance / s) ** 2).exp().sum(dim=0) / (s * math.sqrt(2 * math.pi))

    assert curve.bandwidth == pytest.approx(s)
    torch.testing.assert_close(curve.accuracy, kernel @ correct.double() / kernel.sum(dim=1), rtol=0, atol=1e-4)
    torch.testing.assert_close(curve.support, 2 * math.sqrt(math.pi) * s * kernel.sum(dim=1), rtol=1e-3, atol=1e-3)


def test_it_finds_the_true_accuracy_of_a_miscalibrated_model(sample):
    curve = smooth_reliability(*sample)
    inside = (curve.confidence > 0.45) & (curve.confidence < 0.85)

    assert inside.sum() > 70
    torch.testing.assert_close(curve.accuracy[inside], curve.confidence[inside] - 0.03, rtol=0, atol=0.08)


def test_a_large_error_does_not_smooth_the_shape_away():
    confidence = torch.tensor([0.2, 0.9]).repeat_interleave(500)
    curve = smooth_reliability(confidence, confidence > 0.5)

    assert curve.bandwidth == 0.05
    assert float(curve.accuracy[0]) < 1e-6
    assert float(curve.accuracy[-1]) > 1 - 1e-6


def test_points_without_samples_are_left_out(sample):
    confidence, correct = sample

    assert float(smooth_reliability(confidence, correct).confidence[0]) == pytest.approx(0.3, abs=0.005)
    assert smooth_reliability(confidence[:5], correct[:5]).confidence.numel() == 0


def test_cells_of_a_stream_give_the_same_curve(sample):
    direct, streamed = smooth_reliability(*sample), smooth_reliability_from_bins(grid_stats(*sample))

    assert streamed.bandwidth == pytest.approx(direct.bandwidth, abs=1e-4)
    torch.testing.assert_close(streamed.accuracy, direct.accuracy, rtol=0, atol=2e-3)


def test_bad_input_is_refused(rejects, sample):
    confidence, correct = sample
    with rejects(ValueError, "`confidence` must have shape (N,) with N >= 1, got (0,)."):
        smooth_reliability(confidence[:0], correct[:0])
    with rejects(ValueError, "`n_points` must be an integer >= 2, got 1."):
        smooth_reliability(confidence, correct, n_points=1)
    with rejects(ValueError, "`stats` must hold at least one sample, got 0."):
        smooth_reliability_from_bins(grid_stats(confidence[:0], correct[:0]))


def test_points_lie_on_the_centres_of_the_outermost_cells_and_evenly_between():
    confidence = torch.linspace(0, 1, 2001, dtype=torch.float64)
    curve = smooth_reliability(confidence, torch.ones(2001), n_points=3, min_support=0.1)

    assert curve.confidence.tolist() == pytest.approx([0.5 / GRID, 0.5, 1 - 0.5 / GRID], abs=0.6 / GRID)
    assert curve.confidence[[0, 2]].tolist() == pytest.approx([0.5 / GRID, 1 - 0.5 / GRID], abs=1e-12)


@pytest.mark.parametrize("n_points", [11, 6, 3])
def test_points_within_half_a_step_of_the_confidences_are_shown(n_points):
    # Confidences from 0.32 to 0.68: points 0.3 to 0.7 of eleven, 0.2 to 0.8 … of fewer, if half a step reaches them.
    confidence = torch.linspace(0.32, 0.68, 3000, dtype=torch.float64)
    points = smooth_reliability(confidence, confidence > 0.5, n_points=n_points, min_support=1e-9).confidence
    half = 0.5 / (n_points - 1)
    expected = [k / (n_points - 1) for k in range(n_points) if 0.32 - half <= k / (n_points - 1) <= 0.68 + half]

    assert points.tolist() == pytest.approx(expected, abs=1 / GRID)


def test_a_support_of_nothing_is_refused(rejects):
    with rejects(ValueError, "`min_support` must be a finite number > 0, got 0."):
        smooth_reliability(torch.rand(5), torch.ones(5), min_support=0)
    assert smooth_reliability(torch.rand(50), torch.ones(50), min_support=0.5).accuracy.max() <= 1


def test_a_point_half_a_step_away_is_still_shown():
    confidence = torch.linspace(0.7, 0.72, 500, dtype=torch.float64)
    curve = smooth_reliability(confidence, confidence > 0.71, n_points=3, min_support=1e-12)

    assert curve.confidence.tolist() == pytest.approx([0.5], abs=1 / GRID)
