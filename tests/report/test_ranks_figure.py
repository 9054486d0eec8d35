# SPDX-License-Identifier: Apache-2.0
import pytest

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from adafocal.report.figures import draw_critical_difference

RANKS = {
    "losses": [
        {"loss": name, "title": name.upper(), "rank": rank} for name, rank in [("a", 1.25), ("b", 2.5), ("c", 3.0)]
    ],
    "groups": [["a", "b"], ["b", "c"]],
    "critical_difference": 1.5,
    "p_value": 0.01,
    "n_experiments": 4,
}


@pytest.fixture
def ax():
    return Figure().subplots()


def drawn(ax, name):
    return [line.get_xdata().tolist() for line in ax.lines if line.get_gid() == name]


def test_bars_join_what_is_not_told_apart_and_the_difference_is_drawn_to_scale(ax):
    draw_critical_difference(ax, RANKS)

    assert [pytest.approx(ends, abs=0.05) for ends in ([1.25, 2.5], [2.5, 3.0])] == drawn(ax, "group")
    assert drawn(ax, "difference") == [[1.0, 2.5]]


def test_every_loss_has_its_rank_in_words(ax):
    draw_critical_difference(ax, RANKS)
    texts = {text.get_text() for text in ax.texts}

    assert {"A  1.25", "B  2.50", "3.00  C", "critical difference 1.50", "1", "2", "3"} == texts


def test_a_difference_beyond_all_ranks_stays_within_the_line(ax):
    draw_critical_difference(ax, {**RANKS, "critical_difference": 7.0, "groups": [["a", "b", "c"]]})

    assert drawn(ax, "difference") == [[1.0, 3.0]]
    assert "critical difference 7.00" in {text.get_text() for text in ax.texts}
