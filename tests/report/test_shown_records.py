# SPDX-License-Identifier: Apache-2.0
"""What records show of themselves in a notebook: small, escaped, in the notebook's own colours; and their frames."""

import importlib
import math
import re
import sys
import types
from html.parser import HTMLParser

import pandas as pd
import pytest
import torch

import adafocal as af
from adafocal._notebook import frame
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.errors import AdafocalError
from adafocal.measures import OF_COMPARISON
from adafocal.results.folder import StudyFolder
from report.folders import write_study


def model(scale=1.0, **more):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(200, 3, generator=generator)
    labels = torch.multinomial((0.6 * logits).softmax(dim=1), 1, generator=generator)[:, 0]
    return af.Predictions(logits=scale * logits, labels=labels, **more)


class Balanced(HTMLParser):
    """Checks that tags close, and keeps their names and the text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts = [], set(), []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def shown(value):
    html = value._repr_html_()
    assert re.search(r"[^-]color:|<script|<style|http", html) is None  # the notebook's colours, and nothing loaded
    assert len(html) < 12_000
    return Balanced(html)


def test_records_say_what_they_hold():
    texts = shown(model(classes=("<b>cat</b>", "dog", "owl"), weight=torch.full((200,), 2.0))).texts

    assert {"rows", "200", "classes", "3", "held", "logits", "sum of weights", "400", "accuracy"} <= set(texts)
    assert "<b>cat</b>, dog, owl" in texts
    assert "no labels" in shown(af.Predictions(logits=torch.zeros(2, 2))).texts
    outcomes = af.Outcomes(confidence=torch.tensor([0.5, 0.7]), correct=torch.tensor([True, False]), cluster=[1, 1])
    assert {"Outcomes", "clusters", "1", "50.00 %", "60.00 %"} <= set(shown(outcomes).texts)


def test_a_summary_shows_every_measure_that_the_terminal_prints():
    summary = af.calibration.evaluate(model())
    texts = shown(summary).texts

    assert {measure.title for measure in CATALOGUE.values() if measure.title} <= set(texts)
    assert CATALOGUE["accuracy"].between(*summary.accuracy_interval) in texts


def test_a_comparison_shows_its_sentence_and_differences_with_names_escaped():
    found = af.compare({"<i>before</i>": model(), "after\u202e": model(0.6)})
    parsed = shown(found)

    assert "i" not in parsed.tags
    assert f"{found.sentence}\n{found.size}" in parsed.texts
    assert found.sentence.startswith("after\ufffd")
    assert "<i>before</i>" in parsed.texts
    assert parsed.texts.count("better") == sum(
        one.verdict == "better" for one in found.others[0].versus_baseline.values()
    )


def test_a_study_and_a_run_show_their_results(tmp_path):
    study = StudyFolder(write_study(tmp_path / "study", losses=("cross_entropy", "adafocal")))

    texts = shown(study).texts
    assert {"Cross-entropy", "AdaFocal", "Error %"} <= set(texts)
    assert study.comparison._repr_html_() == study._repr_html_()
    run = study.run(tmp_path / "study" / "runs" / "made" / "1-s0")
    assert {"AdaFocal", "T"} <= set(shown(run).texts)
    assert "compared nothing yet" in StudyFolder(tmp_path)._repr_html_()


def test_frames_hold_numbers():
    summary = af.calibration.evaluate(model())
    table = summary.to_frame()

    assert isinstance(table, pd.DataFrame)
    assert list(table["measure"]) == list(CATALOGUE)
    row = table.set_index("measure").loc["accuracy"]
    assert (row["low"], row["high"]) == summary.accuracy_interval
    assert math.isnan(table.set_index("measure").loc["nll"]["low"])
    found = af.compare({"a": model(), "b": model(0.6), "c": model(0.8)})
    differences = found.to_frame()
    assert list(differences["measure"]) == 2 * list(OF_COMPARISON)
    held = differences[(differences["name"] == "c") & (differences["measure"] == "nll")].iloc[0]
    assert held["difference"] == pytest.approx(held["value"] - held["baseline_value"], abs=1e-6)


def test_polars_takes_the_place_of_pandas_and_without_either_a_sentence_says_what_to_install(monkeypatch):
    made = types.ModuleType("polars")
    made.DataFrame = lambda columns: ("polars", columns)
    real = importlib.import_module

    def missing(*names):
        def load(name, *more):
            if name in names:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real(name, *more)

        return load

    monkeypatch.setitem(sys.modules, "polars", made)
    monkeypatch.setattr(importlib, "import_module", missing("pandas"))
    assert frame({"a": (1, 2)}) == ("polars", {"a": [1, 2]})
    monkeypatch.setattr(importlib, "import_module", missing("pandas", "polars"))
    with pytest.raises(AdafocalError, match="pandas or polars is not installed: run `pip install pandas`"):
        frame({"a": [1]})
