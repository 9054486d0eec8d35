# SPDX-License-Identifier: Apache-2.0
"""Diagrams on axes of one's own: what the page draws, in a subplot or a figure of its own."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer

import adafocal as af
from adafocal.calibration import reliability_data
from adafocal.results.folder import RunFolder
from adafocal.selective import risk_coverage_curve
from report.folders import write_run


def model(scale=1.0, **more):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(300, 3, generator=generator)
    labels = torch.multinomial((0.6 * logits).softmax(dim=1), 1, generator=generator)[:, 0]
    return af.Predictions(logits=scale * logits, labels=labels, **more)


@pytest.fixture(autouse=True)
def closed():
    """Leave no figure open."""
    yield
    plt.close("all")


@pytest.fixture
def axes():
    return plt.subplots(2, 2)[1].flatten()


DRAWN = {
    "reliability": lambda ax: af.plot.reliability(model(), ax),
    "risk_coverage": lambda ax: af.plot.risk_coverage(model(), ax),
    "gammas": lambda ax: af.plot.gammas([[1.0, 0.5], [1.2, -0.3]], ax),
    "comparison": lambda ax: af.plot.comparison(af.compare({"a": model(), "b": model(0.6)}), ax),
}


@pytest.mark.parametrize("name", DRAWN)
def test_each_draws_on_the_axes_it_is_given_and_returns_them(name, axes):
    assert DRAWN[name](axes[2]) is axes[2]
    assert axes[2].has_data()
    assert not any(ax.has_data() for ax in (axes[0], axes[1], axes[3]))
    axes[2].figure.canvas.draw()


@pytest.mark.parametrize("name", DRAWN)
def test_each_makes_a_figure_without_axes_and_leaves_the_style_alone(name):
    before = dict(matplotlib.rcParams)
    found = DRAWN[name](None)

    assert isinstance(found, Axes)
    assert found.has_data()
    assert dict(matplotlib.rcParams) == before


def test_reliability_draws_the_bins_of_the_page(axes):
    record = model()
    af.plot.reliability(record, axes[0], n_bins=10)
    data = reliability_data(record.confidence, record.correct, n_bins=10)
    (points,) = [line for line in axes[0].lines if line.get_marker() == "o"]

    assert points.get_xdata() == pytest.approx(data.confidence.numpy())
    assert points.get_ydata() == pytest.approx(data.accuracy.numpy())
    assert axes[0].get_xlabel() == "confidence"
    assert af.plot.reliability(record, axes[1], positive_class=2).get_ylabel() == "share of the class"


def test_bins_of_clusters_have_no_intervals_of_independent_rows(axes):
    af.plot.reliability(model(), axes[0])
    af.plot.reliability(model(cluster=torch.arange(300) // 10), axes[1])

    def intervals(ax):
        held = [one for one in ax.containers if isinstance(one, ErrorbarContainer)]
        return [segment for one in held for part in one[2] for segment in part.get_segments() if finite(segment)]

    def finite(segment):
        return len(segment) == 2 and bool(np.isfinite(segment).all())

    assert len(intervals(axes[0])) > 5
    assert intervals(axes[1]) == []


def test_weights_count(axes):
    weight = torch.rand(300, generator=torch.Generator().manual_seed(1))
    record = model(weight=weight)
    af.plot.risk_coverage(record, axes[0])
    curve = risk_coverage_curve(record.confidence, ~record.correct, sample_weight=weight)

    assert axes[0].lines[0].get_ydata()[-1] == pytest.approx(100 * float(curve.risk[-1]))


def test_several_curves_have_names_that_are_text(axes):
    af.plot.risk_coverage({"$x$": model(), "_b": model(0.5)}, axes[0])

    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == [r"\$x\$", " _b"]
    af.plot.risk_coverage({"n" * 50: model(), "m": model(0.5)})
    assert plt.gca().get_legend().get_texts()[0].get_text() == "n" * 19 + "…"  # no wider than the diagram
    assert len(af.plot.risk_coverage(af.Outcomes(confidence=[0.9, 0.5], correct=[1, 0]), axes[1]).lines) == 1


def test_gammas_come_from_a_run_or_from_rows(tmp_path, axes):
    folder = write_run(tmp_path / "run", loss="adafocal")
    images = [
        af.plot.gammas(run, ax).images[0]
        for run, ax in zip((folder, RunFolder(folder), str(folder)), axes[:3], strict=True)
    ]

    assert np.array_equal(images[0].get_array(), images[1].get_array())
    assert np.array_equal(images[0].get_array(), images[2].get_array())
    rows = torch.tensor([[1.0, 0.5, 0.2], [1.2, -0.3, 0.1]])
    assert af.plot.gammas(rows, axes[3]).images[0].get_array().shape == (3, 2)


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_cannot_be_drawn_is_refused_in_a_sentence(tmp_path, axes):
    run = write_run(tmp_path / "run", loss="cross_entropy")
    for draw, sentence in (
        (lambda: af.plot.reliability(3), "`predictions` must be Predictions or Outcomes, got int"),
        (lambda: af.plot.reliability(model(), axes), "`ax` must be axes of matplotlib, got ndarray: give one of them"),
        (lambda: af.plot.reliability(model(), n_bins=0), "`n_bins` must be an integer >= 1, got 0"),
        (lambda: af.plot.risk_coverage({"a": 3}), "must be Predictions or Outcomes, got int"),
        (lambda: af.plot.risk_coverage({}), "`predictions` must hold at least one record, got none"),
        (lambda: af.plot.risk_coverage(af.Predictions(logits=torch.zeros(2, 2))), "`labels` must be given"),
        (lambda: af.plot.gammas(run), "`run` must be of a loss with gammas, got cross_entropy"),
        (lambda: af.plot.gammas(tmp_path), "`run` must be a run folder, got "),
        (lambda: af.plot.gammas([1.0, 2.0]), r"shape \(epochs, bins\), got shape \(2,\)"),
        (lambda: af.plot.gammas([[1.0, float("nan")]]), "`run` must hold finite gammas"),
        (lambda: af.plot.comparison(model()), "`found` must be a Comparison, got Predictions"),
    ):
        with pytest.raises(af.AdafocalError, match=sentence):
            draw()


def test_the_diagonal_is_seen_on_a_dark_style():
    with plt.style.context("dark_background"):
        found = af.plot.reliability(model())

    assert found.lines[0].get_color() == "white"


def test_importing_plots_loads_no_matplotlib():
    import subprocess
    import sys

    code = "import sys, adafocal as af; af.plot.reliability; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
