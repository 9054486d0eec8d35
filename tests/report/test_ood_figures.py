# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from adafocal.ood import roc_curve
from adafocal.report.ood_figures import draw_roc, draw_score_histograms


@pytest.fixture
def ax():
    return Figure().subplots()


def test_the_roc_curve_is_drawn_from_its_points(ax):
    curve = roc_curve(torch.tensor([0.1, 0.4, 0.2]), torch.tensor([0.3, 0.9]))
    draw_roc(ax, curve, label="msp")
    diagonal, drawn = ax.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    np.testing.assert_allclose(drawn.get_xdata(), curve.false_positive_rate)
    np.testing.assert_allclose(drawn.get_ydata(), curve.true_positive_rate)
    assert drawn.get_label() == "msp"


def test_a_long_curve_is_thinned_and_keeps_its_ends(ax):
    draw_roc(ax, roc_curve(torch.randn(5000), torch.randn(5000) + 1), label="")
    points = ax.lines[1].get_xydata()
    assert len(points) == 400
    assert (points[0].tolist(), points[-1].tolist()) == ([0, 0], [1, 1])


def shares(ax):
    return [patch.get_data().values for patch in ax.patches]


def test_histograms_are_shares_over_common_bins(ax):
    draw_score_histograms(ax, torch.randn(500), torch.randn(300) + 2, n_bins=20)
    line_id, line_ood = ax.patches[1::2]
    assert np.array_equal(line_id.get_data().edges, line_ood.get_data().edges)
    assert all(values.sum() == pytest.approx(1) and len(values) == 20 for values in shares(ax))
    assert (line_id.get_label(), line_ood.get_label()) == ("in-distribution", "out-of-distribution")


@pytest.mark.parametrize(
    ("id_scores", "ood_scores"),
    [
        (torch.zeros(5), torch.zeros(3)),
        (torch.tensor([-math.inf, 0.0, 1.0]), torch.tensor([math.inf, 2.0])),
        (torch.tensor([-math.inf]), torch.tensor([math.inf])),
        (torch.randn(50) * 1e30, torch.randn(50) * 1e30),
    ],
)
def test_equal_infinite_and_huge_scores_are_all_counted(ax, id_scores, ood_scores):
    draw_score_histograms(ax, id_scores, ood_scores)
    assert all(values.sum() == pytest.approx(1) for values in shares(ax))
