# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from adafocal.calibration import reliability_data, smooth_reliability
from adafocal.report import (
    draw_class_reliability,
    draw_counts,
    draw_curves,
    draw_gammas,
    draw_reliability,
    draw_risk_coverage,
)
from adafocal.selective import risk_coverage_curve


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def data():
    confidence = torch.tensor([0.3, 0.3, 0.9, 0.9, 0.9, 0.9])
    return reliability_data(confidence, torch.tensor([1, 0, 1, 1, 1, 0]).bool(), n_bins=2)


def test_points_are_accuracies_and_bars_span_the_gap(ax, data):
    draw_reliability(ax, data)
    points = ax.lines[1].get_xydata()

    np.testing.assert_allclose(points, [[0.3, 0.5], [0.9, 0.75]], rtol=1e-6)
    assert [bar.get_x() for bar in ax.patches] == [0, 0.5]
    np.testing.assert_allclose([bar.get_y() for bar in ax.patches], [0.5, 0.75])
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], [-0.2, 0.15], rtol=1e-6)


def test_intervals_are_those_of_the_data(ax, data):
    draw_reliability(ax, data)
    [intervals] = ax.containers[1].lines[2]
    ends = np.array([segment[:, 1] for segment in intervals.get_segments()])

    np.testing.assert_allclose(ends, np.stack([data.accuracy_low, data.accuracy_high], axis=1))


def test_the_smooth_curve_has_a_gap_where_there_is_no_data(ax, data):
    confidence = torch.cat([0.1 + 0.1 * torch.rand(400), 0.8 + 0.1 * torch.rand(400)])
    curve = smooth_reliability(confidence, torch.rand(800) < confidence)
    draw_reliability(ax, data, curve=curve)
    y = ax.lines[1].get_ydata()

    assert np.isnan(y).sum() == 1
    assert len(y) == len(curve.accuracy) + 1


def test_counts_are_drawn_over_their_bins(ax, data):
    draw_counts(ax, data)

    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in ax.patches] == [(0, 0.5, 2), (0.5, 0.5, 4)]


def test_losses_share_one_diagonal_in_a_small_diagram(ax, data):
    draw_class_reliability(ax, data, label="a")
    draw_class_reliability(ax, data, label="b")

    assert [line.get_label() for line in ax.lines][1:] == ["a", "b"]
    assert ax.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]


def test_risk_and_coverage_are_drawn_in_percent(ax):
    curve = risk_coverage_curve(torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 0, 0, 1]))
    draw_risk_coverage(ax, [curve])
    coverage, risk = ax.lines[0].get_xydata().T

    assert coverage[-1] == 100
    assert risk[-1] == 25
    assert risk[np.searchsorted(coverage, 75) - 1] == 0


def test_curves_of_several_runs_are_mean_and_range_whatever_is_missing(ax):
    draw_curves(ax, [1, 2, 3], [[1.0, 2.0, 3.0], [3.0, math.nan], [5.0, 4.0, 5.0]], label="x")
    [band] = ax.collections

    np.testing.assert_allclose(ax.lines[0].get_ydata(), [3, 3, 4])
    assert band.get_paths()[0].get_extents().bounds == (1, 1, 2, 4)


def test_a_long_history_is_thinned_and_keeps_its_ends(ax):
    draw_curves(ax, list(range(5000)), [[float(epoch) for epoch in range(5000)]])
    x = ax.lines[0].get_xdata()

    assert (len(x), x[0], x[-1]) == (200, 0, 4999)


def test_the_map_of_gammas_is_symmetric_about_zero(ax):
    draw_gammas(ax, [1, 2], [[1.0, -4.0], [2.0, 0.5]])
    [image] = ax.images

    assert (image.norm.vmin, image.norm.vmax) == (-4, 4)
    np.testing.assert_allclose(image.get_array(), [[1, 2], [-4, 0.5]])
