# SPDX-License-Identifier: Apache-2.0
"""What a study found: winner, runner-up, and what cannot be told apart."""

import json

import pytest

from adafocal import Predictions
from adafocal.calibration import evaluate
from adafocal.report import write_page
from adafocal.study.finding import findings
from report.folders import write_run, write_study

TITLES = {"a": "A loss", "b": "B loss", "c": "C loss"}


def of_seeds(*values):
    return dict(enumerate(values))


def test_the_winner_the_runner_up_and_what_is_not_told_apart_are_named():
    ece = {"a": of_seeds(0.1, 0.12, 0.11), "b": of_seeds(0.03, 0.034, 0.029), "c": of_seeds(0.031, 0.03, 0.036)}

    said = findings({"ece": ece}, TITLES)

    first = "Lowest test ECE: B loss with 3.10 %, then C loss with 3.23 %"
    assert said == f"{first}; over 3 seeds not distinguishable from it: C loss."


def test_a_winner_beyond_chance_is_said_to_be_one():
    error = {"a": of_seeds(0.10, 0.12, 0.11), "b": of_seeds(0.02, 0.04, 0.03)}

    assert findings({"error": error}, TITLES).endswith("over 3 seeds all others are worse beyond chance.")


def test_one_seed_tells_nothing_apart():
    said = findings({"ece": {"a": of_seeds(0.2), "b": of_seeds(0.1)}}, TITLES)

    assert said == "Lowest test ECE: B loss with 10.00 %, then A loss with 20.00 %; one seed cannot tell losses apart."


@pytest.mark.parametrize("values", [{}, {"a": of_seeds(0.1)}, {"a": of_seeds(0.1), "b": of_seeds(float("nan"))}])
def test_without_two_losses_nothing_is_found(values):
    assert findings({"ece": values}, TITLES) == ""


def test_the_page_of_a_run_says_whether_it_is_calibrated(tmp_path):
    run = write_run(tmp_path / "run")
    old = write_page(run, tmp_path / "old.html").read_text(encoding="utf-8")
    file = run / "summary.json"
    summary = json.loads(file.read_text())
    summary["test"] |= evaluate(Predictions.load(run / "test.parquet")).to_dict()
    file.write_text(json.dumps(summary))

    page = write_page(run, tmp_path / "page.html").read_text(encoding="utf-8")

    assert f"As trained: {summary['test']['verdict']['kind']}." in page
    assert page.index("As trained:") < page.index("section-results")
    assert "As trained" not in old


def test_a_study_of_an_earlier_version_has_a_page_without_a_finding(tmp_path):
    study = write_study(tmp_path / "study", losses=["cross_entropy", "adafocal"])
    now = write_page(study, tmp_path / "now.html").read_text(encoding="utf-8")
    record = json.loads((study / "comparison.json").read_text())
    for experiment in record["experiments"]:
        del experiment["finding"]
    (study / "comparison.json").write_text(json.dumps(record))

    page = write_page(study, tmp_path / "page.html").read_text(encoding="utf-8")

    assert '<p class="finding">' in now
    assert '<p class="finding">' not in page
