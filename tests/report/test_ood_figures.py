# SPDX-License-Identifier: Apache-2.0
import pytest

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from adafocal.report import draw_roc, draw_score_histograms


@pytest.fixture
def ax():
    return Figure().subplots()


def test_roc_curves_are_drawn_from_their_points_and_share_one_diagonal(ax):
    draw_roc(ax, [0, 0.5, 1], [0, 0.9, 1], label="msp")
    draw_roc(ax, [0, 1], [0, 1], label="energy")
    diagonal, first, second = ax.lines

    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert first.get_xydata().tolist() == [[0, 0], [0.5, 0.9], [1, 1]]
    assert (first.get_label(), second.get_label()) == ("msp", "energy")


def test_histograms_of_both_kinds_are_drawn_over_the_same_edges(ax):
    draw_score_histograms(ax, [0, 1, 2], [0.25, 0.75], [1.0, 0.0])
    lines = ax.patches[1::2]

    assert [line.get_label() for line in lines] == ["in-distribution", "out-of-distribution"]
    assert [line.get_data().edges.tolist() for line in lines] == [[0, 1, 2], [0, 1, 2]]
    assert [line.get_data().values.tolist() for line in lines] == [[0.25, 0.75], [1, 0]]
