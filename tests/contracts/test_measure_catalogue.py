# SPDX-License-Identifier: Apache-2.0
"""The catalogue of measures is the one place that names them: what it says is what every table shows."""

import ast
import io
from dataclasses import fields, replace
from pathlib import Path

import pytest
from rich.console import Console

import adafocal
from adafocal import Predictions, measures
from adafocal.calibration import CalibrationSummary, evaluate
from adafocal.calibration.measure import APART
from adafocal.evaluation.measure import measure
from adafocal.measures import (
    COMPARED,
    MEASURES,
    OF_BEST,
    OF_DETECTION,
    OF_GROUPS,
    OF_MASKS,
    OF_PREDICTIONS,
    OF_RUNS,
    ON_PAGES,
)
from adafocal.ood.intervals import Detection
from adafocal.ood.records import DetectionRecord
from adafocal.report import terminal
from adafocal.report.tables import run_results, study_results
from adafocal.results.folder import (
    COMPARISON,
    PLAN,
    PROVENANCE,
    SETTINGS,
    STUDYS_LOG,
    TABLE,
    TABLES,
    WRITTEN,
    RunFolder,
    StudyFolder,
)
from adafocal.study.terminal import print_comparison
from adafocal.tables.scan import Names, scan
from report.folders import predictions, write_run, write_study

PACKAGE = Path(adafocal.__file__).parent
DOCS = PACKAGE.parents[1] / "docs"
SHOWN = {**OF_PREDICTIONS, **OF_GROUPS, **OF_RUNS, **OF_MASKS, **OF_DETECTION}


def test_every_entry_is_shown_somewhere_and_has_all_that_tables_ask_for():
    assert len(MEASURES) == (DOCS / "measuring.md").read_text("utf-8").split("<!-- end -->")[0].count("\n| `") >= 31
    assert SHOWN.keys() == MEASURES.keys()
    for name, entry in MEASURES.items():
        assert entry.name == name
        assert entry.heading
        assert entry.on_page
        assert entry.unit in ("%", "nats", "voxels", "")
        assert entry.better in ("lower", "higher", "zero", "neither")
        assert 2 <= entry.digits <= 3


def test_headings_and_titles_are_told_apart():
    for texts in ([entry.heading for entry in MEASURES.values()], [entry.title for entry in OF_PREDICTIONS.values()]):
        assert len(set(texts)) == len(texts)


def literals(path):
    tree = ast.parse(path.read_text("utf-8"))
    owners = [node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    docstrings = {id(node.body[0].value) for node in owners if node.body and isinstance(node.body[0], ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
    return {node.value for node in constants if isinstance(node.value, str)}


def test_no_other_module_writes_a_heading():
    modules = [path for path in PACKAGE.rglob("*.py") if path.name != "measures.py"]
    headings = {
        text: name for name, entry in MEASURES.items() for text in (entry.heading, entry.on_page) if len(text) > 1
    }

    assert len(modules) >= 180
    assert len(headings) >= 30
    for path in modules:
        texts = {*map(str.strip, literals(path))}
        # An entry stands where its name is declared, in one file.
        elsewhere = {text for text in texts & headings.keys() if f'name="{headings[text]}"' not in path.read_text()}
        assert elsewhere == set(), path
    rooms = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "losses"]  # a loss is called as a measure is
    for name in MEASURES.keys() - {"ece_scaled", "nll_scaled", *OF_BEST}:
        assert sum(f'name="{name}"' in path.read_text("utf-8") for path in rooms) == 1, name


def test_no_other_module_writes_the_name_of_a_file_of_a_run_or_study():
    modules = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "results" / "folder.py"]
    names = {*WRITTEN, SETTINGS, PROVENANCE, PLAN, COMPARISON, TABLE, TABLES, STUDYS_LOG}

    assert len(names) == 24
    assert {path.name: found for path in modules if (found := literals(path) & names)} == {}


def test_every_entry_is_on_the_page_of_measures():
    page = (DOCS / "measuring.md").read_text("utf-8")

    assert [name for name in MEASURES if f"| `{name}` |" not in page] == []


def test_what_it_names_is_there_to_be_read():
    summary = {field.name for field in fields(CalibrationSummary)}
    detection = {field.name for field in fields(DetectionRecord)} & {field.name for field in fields(Detection)}

    assert OF_PREDICTIONS.keys() | OF_GROUPS.keys() <= summary
    assert {entry.interval for entry in OF_PREDICTIONS.values()} - {""} <= summary
    assert OF_DETECTION.keys() <= detection
    # Every number of a summary that is one is printed, but for the parts of the Brier score, which are two of one, and
    # the effective number of samples, which a note below the table says.
    parts = {"brier_calibration", "brier_refinement", "n_effective"}
    assert {field.name for field in fields(CalibrationSummary) if field.type is float} - parts == OF_PREDICTIONS.keys()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The same rows all in memory, and as a stream."""
    path = tmp_path_factory.mktemp("measures") / "p.npz"
    predictions(200, 3).save(path)
    return [measure(scan([path], Names()), in_memory=most)[""] for most in (None, 1)]


def test_what_streams_is_the_same_in_memory_and_in_a_stream_and_the_rest_is_marked(measured):
    exact, stream = (part.summary for part in measured)
    rows = {title: text for _, held in terminal.measure_rows(measured[1]) for title, text, _ in held}

    assert len(rows) == len(OF_PREDICTIONS) >= 15
    for name, entry in OF_PREDICTIONS.items():
        assert rows[entry.title].startswith("~ ") != entry.streams
        if entry.streams:
            assert getattr(stream, name) == pytest.approx(getattr(exact, name), rel=1e-6)


def test_a_new_line_of_the_catalogue_is_all_that_evaluation_needs(measured, monkeypatch):
    new = replace(MEASURES["rms"], name="brier_calibration", title="a new measure")
    monkeypatch.setitem(OF_PREDICTIONS, "brier_calibration", new)

    rows = [row for question, held in terminal.measure_rows(measured[0]) if question == APART for row in held]
    [text] = [text for title, text, _ in rows if title == "a new measure"]
    assert text == f"{100 * measured[0].summary.brier_calibration:.2f} %"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    losses = ("cross_entropy", "focal", "adafocal")
    return StudyFolder(write_study(tmp_path_factory.mktemp("measures") / "study", losses=losses))


def test_comparisons_tables_and_the_terminal_take_their_columns_from_it(study, tmp_path):
    [experiment] = study.comparison.experiments
    out = Console(file=io.StringIO(), width=250)
    print_comparison(study.comparison, out)

    for loss in experiment.losses:
        assert loss.metrics.keys() == OF_RUNS.keys()
        assert loss.versus_baseline.keys() in ({}.keys(), COMPARED.keys())
    headings = ["Loss", *(entry.on_page for entry in ON_PAGES.values())]
    assert study_results(experiment, "t").headings == headings
    run = run_results("x", RunFolder(write_run(tmp_path / "run")).summary)
    assert run.headings == ["Loss", *(entry.on_page for entry in ON_PAGES.values() if entry.place.startswith("test."))]
    assert [row.title for row in run.rows] == [
        "x", "after temperature scaling, T = 1.25", "after the best scaling: temperature",
    ]  # fmt: skip
    for name in ("error", "ece", "nll", "overconfidence", "temperature"):
        assert MEASURES[name].heading in out.file.getvalue()


def test_what_is_better_is_what_better_predictions_have():
    """Sharpened until confidence leaves the truth, every error grows, and accuracy stays."""
    data = predictions(4000, 3, sharpness=1)
    good, bad = (evaluate(Predictions(logits=by * data.logits, labels=data.labels)).to_dict() for by in (1.0, 3.0))
    for name, entry in OF_PREDICTIONS.items():
        if entry.better == "lower":
            assert good[name] < bad[name], name
        if entry.better == "zero":
            assert abs(good[name]) < abs(bad[name]), name


def test_how_values_are_written():
    assert MEASURES["ece"].text(0.01234) == "1.23"
    assert MEASURES["nll"].text(float("nan")) == measures.UNDEFINED
    assert MEASURES["overconfidence"].text(0.05, signed=True) == "+5.00"
    assert MEASURES["fpr95"].page_text(-0.5, sign="+") == "−50.00"
    assert MEASURES["ece"].alone(float("nan")) == measures.UNDEFINED
    assert MEASURES["nll"].between(0.5, 1.25) == "0.5000 to 1.2500"  # an interval has the unit of its number
    assert MEASURES["accuracy"].between(0.5, 1.0) == "50.00 to 100.00 %"
    assert (MEASURES["brier"].alone(0.25), MEASURES["accuracy"].alone(0.25)) == ("0.2500", "25.00 %")
