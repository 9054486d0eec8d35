# SPDX-License-Identifier: Apache-2.0
"""What a study found: winner, runner-up, and what cannot be told apart."""

import pytest
from report.folders import write_run, write_study

from adafocal.report import write_page
from adafocal.results.contents import read_contents
from adafocal.study.finding import findings

TITLES = {"a": "A loss", "b": "B loss", "c": "C loss"}


def of_seeds(*values):
    return dict(enumerate(values))


def test_the_winner_the_runner_up_and_what_is_not_told_apart_are_named():
    ece = {"a": of_seeds(0.10, 0.12, 0.11), "b": of_seeds(0.030, 0.034, 0.029), "c": of_seeds(0.031, 0.030, 0.036)}

    said = findings({"ece": ece}, TITLES)

    assert (
        said
        == "Lowest test ECE: B loss with 3.10 %, then C loss with 3.23 %; over 3 seeds not distinguishable from it: C loss."
    )


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
    verdict = read_contents(run).experiments[0].runs[0].summary.test.get("verdict")
    page = write_page(run, tmp_path / "page.html").read_text(encoding="utf-8")

    assert verdict["kind"] in page
    assert page.index("As trained:") < page.index("section-results")


def test_a_study_of_an_earlier_version_has_a_page_without_a_finding(tmp_path):
    page = write_page(write_study(tmp_path / "study"), tmp_path / "page.html").read_text(encoding="utf-8")

    assert '<p class="finding">' not in page
