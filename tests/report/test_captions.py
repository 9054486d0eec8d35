# SPDX-License-Identifier: Apache-2.0
"""What captions and alternative texts say is what the folders hold, counted here by hand."""

import re

import pytest
import torch

from adafocal.measures import MEASURES
from adafocal.predictions import Predictions
from adafocal.report.evaluation_page import _risk as risk_panel
from adafocal.report.panels import class_panel, curve_panels, gamma_panels, reliability_panel, risk_coverage_panels
from adafocal.results.contents import read_contents
from report.folders import write_run, write_study


@pytest.fixture(scope="module")
def losses(tmp_path_factory):
    folder = write_study(tmp_path_factory.mktemp("captions") / "study", losses=("cross_entropy", "adafocal"))
    return read_contents(folder).experiments[0].losses


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return read_contents(write_run(tmp_path_factory.mktemp("captions") / "run")).experiments[0].losses


def saved(run):
    return Predictions.load(run / "test.parquet")


def area_in_percent(predictions):
    """The error of the k surest predictions, averaged over k; the made ones have no equal confidences."""
    surest = predictions.confidence.argsort(descending=True)
    wrong = (~predictions.correct[surest]).double()
    errors = wrong.cumsum(0) / torch.arange(1, len(wrong) + 1)
    return 100 * errors.mean().item()


def test_the_areas_of_the_risk_coverage_curves_are_means_over_seeds_in_percent(losses):
    caption = risk_coverage_panels(losses, name="risk")[0].caption
    areas = [sum(area_in_percent(saved(run)) for run in loss.runs) / len(loss.runs) for loss in losses]
    said = ", ".join(f"{loss.title} {area:.2f}\u00a0%" for loss, area in zip(losses, areas, strict=True))

    assert len({round(area, 2) for area in areas}) == 2
    assert caption == (f"Area under the curve (AURC; lower is better): {said}. Mean over seeds; the band is the range.")


def test_of_a_single_run_nothing_is_said_of_seeds(single):
    panel = risk_coverage_panels(single, name="risk")[0]
    area = area_in_percent(saved(single[0].runs[0]))

    assert panel.caption == f"Area under the curve (AURC; lower is better): {single[0].title} {area:.2f}\u00a0%."
    assert panel.alt == f"Risk-coverage curves. {panel.caption}"
    assert {curve.caption for curve in curve_panels(single, name="curve")} == {""}


def test_the_page_of_a_table_says_the_area_in_percent(single):
    predictions = saved(single[0].runs[0])
    panel = risk_panel(predictions)

    said = f"Area under the curve (AURC; lower is better): {area_in_percent(predictions):.2f}\u00a0%."
    assert (panel.caption, panel.alt) == (said, f"Risk-coverage curve. {said}")


def test_a_reliability_diagram_counts_the_predictions_of_all_runs(losses):
    loss = losses[0]
    n = sum(run.outcome.n for run in loss.runs)

    ece = loss.mean(MEASURES["ece"])
    panel = reliability_panel("Any", loss.outcome, ece=ece, name="reliability", index=0, n_runs=len(loss.runs))
    # The number of the table, not that of the pooled predictions, in which noise averages out.
    assert ece == pytest.approx(sum(run.summary.test["ece"] for run in loss.runs) / 2)
    assert panel.caption == f"{n:,} predictions of 2 runs; ECE {100 * ece:.2f}\u00a0% (mean over 2 runs)."
    assert sum(int(count) for count in re.findall(r"(\d+) samples", panel.alt)) == n
    alone = reliability_panel("Any", loss.runs[0].outcome, ece=0.5, name="reliability", index=0, n_runs=1)
    assert alone.caption.startswith(f"{loss.runs[0].outcome.n:,} predictions; ")


def test_curves_end_where_the_mean_of_the_last_epochs_lies(losses):
    [panel] = [panel for panel in curve_panels(losses, name="curve") if "error" in panel.title.lower()]
    ends = [100 * sum(run.history[-1]["val_error"] for run in loss.runs) / len(loss.runs) for loss in losses]

    said = "; ".join(f"{loss.title} ends at {end:.3g}" for loss, end in zip(losses, ends, strict=True))
    assert panel.alt == f"{panel.title}: {said}."
    assert panel.caption == "Mean over seeds; the band is the range."


def test_the_gammas_are_those_of_the_last_epoch_of_the_first_seed(losses):
    [panel] = gamma_panels(losses, name="gamma")
    run = losses[1].runs[0]
    last = [run.history[-1][f"gamma_{b}"] for b in range(15)]

    assert panel.title == f"{losses[1].title}: gamma per bin over epochs (seed {run.summary.seed})"
    assert panel.alt.endswith(f"from the lowest to the highest bin: {', '.join(f'{gamma:.2f}' for gamma in last)}.")


def test_the_errors_of_the_classes_are_in_percent(losses):
    outcome, names = losses[0].runs[0].outcome, losses[0].runs[0].class_names
    alt = class_panel([("Any", outcome)], names, name="classes").alt

    said = ", ".join(f"{name} {100 * e:.2f}" for name, e in zip(names, outcome.class_error.tolist(), strict=True))
    assert alt.endswith(f"in percent: Any: {said}.")
