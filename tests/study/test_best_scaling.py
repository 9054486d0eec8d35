# SPDX-License-Identifier: Apache-2.0
"""The best scaling after training as a rival of the losses."""

import csv
import json
import shutil
from math import isnan

import pytest
import torch

from adafocal.calibration import evaluate
from adafocal.cli import main
from adafocal.predictions import Predictions
from adafocal.results.folder import RunFolder, StudyFolder
from adafocal.scaling import fit_temperature
from adafocal.scaling.catalogue import METHODS
from adafocal.scaling.remedy import titled
from adafocal.study import best_scaling
from adafocal.study.best_scaling import find_best_scaling, scaled_run, scaled_title
from adafocal.training import measured, results

SUMMARY = {
    "loss": "cross_entropy", "seed": 0, "class_names": list("abcd"), "sizes": {"train": 1, "validation": 1, "test": 1},
    "temperature": 1.0,
}  # fmt: skip
SETTINGS = "{loss: cross_entropy, model: mlp, seed: 0, epochs: 1, n_bins: 15, data: {name: digits}}"


def drawn(n, *, seed, sharpness=(3.0, 3.0, 3.0, 3.0)):
    """Logits that are too sharp by a factor for each class."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, 4, generator=generator) * 1.5
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return Predictions(logits=logits * torch.tensor(sharpness), labels=labels)


@pytest.fixture
def folder(tmp_path):
    def write(validation, test, **parts):
        for name, held in {"validation": validation, "test": test, **parts}.items():
            held.save(tmp_path / f"{name}.parquet")
        measured = {"error": 0.1, **evaluate(test).to_dict()}
        (tmp_path / "summary.json").write_text(json.dumps({**SUMMARY, "test": measured, "test_scaled": measured}))
        (tmp_path / "config.yaml").write_text(SETTINGS)
        return RunFolder(tmp_path)

    return write


def test_it_is_fitted_to_validation_and_measured_on_test(folder):
    validation, test = drawn(2000, seed=0), drawn(1000, seed=1)
    found = find_best_scaling(folder(validation, test))
    expected = evaluate(fit_temperature(validation).apply(test))

    assert (found.method, found.part, found.rows) == ("temperature", "validation", 2000)
    assert found.test["nll"] == pytest.approx(expected.nll)
    assert found.test["ece"] == pytest.approx(expected.ece)
    assert found.test["nll"] < evaluate(test).nll - 0.1


def test_one_that_suits_classes_apart_is_found(folder):
    uneven = (1.0, 2.0, 4.0, 8.0)
    validation, test = drawn(3000, seed=0, sharpness=uneven), drawn(1000, seed=1, sharpness=uneven)
    found = find_best_scaling(folder(validation, test))

    assert found.method == "structured_matrix"  # its penalty lets go of vector scaling, which is the simpler
    assert found.test["nll"] == pytest.approx(evaluate(METHODS["structured_matrix"](validation).apply(test)).nll)
    assert found.test["nll"] < evaluate(METHODS["vector"](validation, regularization=0.1).apply(test)).nll


def test_the_labels_of_the_test_part_change_nothing_but_the_measurement(folder):
    validation, test = drawn(1000, seed=0), drawn(500, seed=1)
    first = find_best_scaling(folder(validation, test)).method
    other = Predictions(logits=test.logits, labels=(test.labels + 1) % 4)

    assert find_best_scaling(folder(validation, other)).method == first


def test_the_scaling_part_is_taken_where_there_is_one(folder):
    run = folder(drawn(60, seed=0, sharpness=(1.0,) * 4), drawn(500, seed=1), scaling=drawn(1000, seed=2))

    assert (find_best_scaling(run).part, find_best_scaling(run).rows) == ("scaling", 1000)


@pytest.mark.parametrize("validation", [drawn(2000, seed=0, sharpness=(1.0,) * 4), drawn(20, seed=0)])
def test_where_none_helps_the_predictions_stay_as_they_are(folder, validation):
    test = drawn(500, seed=1, sharpness=(1.0,) * 4)
    found = find_best_scaling(folder(validation, test))

    assert found.method == ""
    assert found.test["nll"] == pytest.approx(evaluate(test).nll)


def test_it_is_found_once_and_kept(folder, monkeypatch):
    run = folder(drawn(1000, seed=0), drawn(500, seed=1))
    assert scaled_run(run, keeps=False) is not None
    assert not (run / "best_scaling.json").exists()
    first = scaled_run(run, keeps=True)
    monkeypatch.setattr(best_scaling, "find_best_scaling", lambda run: pytest.fail("found again"))
    again = scaled_run(RunFolder(run.path), keeps=True)

    assert first is not None
    assert again is not None
    assert (again.method, again.metrics["nll"]) == (first.method, first.metrics["nll"])
    assert isnan(again.metrics["temperature"])
    assert isnan(again.metrics["ece_scaled"])


def test_fitting_many_rows_takes_some_that_are_spread_over_all(monkeypatch):
    monkeypatch.setattr(measured, "LARGEST_FIT", 40)
    held = measured._some(drawn(100, seed=0))

    assert held.n == 10
    assert torch.equal(held.logits[-1], drawn(100, seed=0).logits[-1])


def test_the_title_tells_the_methods():
    assert scaled_title("A", ["", "vector", "vector"]) == "A + best scaling (vector or none helps)"


def test_a_study_shows_it_everywhere(study_folder, tmp_path, capsys):
    """The fixture's study has cross-entropy; its runs are finished, so that only the comparison is made again."""
    folder = tmp_path / "study"
    shutil.copytree(study_folder, folder)
    for kept in folder.rglob("best_scaling.json"):
        kept.unlink()
    arguments = ["--epochs", "3", "--seeds", "0", "1", "--baseline", "adafocal", "--study_dir", str(folder)]
    assert main(["study", *arguments]) == 0
    out, held = capsys.readouterr().out, StudyFolder(folder).comparison.experiments[0]
    [scaled] = held.scaled
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    kept = json.loads((folder / "runs/digits/cross_entropy-s1/best_scaling.json").read_text())

    assert scaled.loss == "cross_entropy + best scaling"
    assert scaled.title.startswith("Cross-entropy + best scaling (")
    assert set(scaled.versus_baseline) == {"error", "ece", "ece_equal_mass", "nll"}
    assert scaled.metrics["ece"].mean == pytest.approx(sum(float(row["ece_best_scaled"]) for row in rows[:2]) / 2)
    assert float(rows[1]["nll_best_scaled"]) == pytest.approx(kept["test"]["nll"])
    assert rows[1]["best_scaling"] == (kept["method"] or "none")
    for row in rows:
        summary = json.loads((folder / f"runs/digits/{row['loss']}-s{row['seed']}/summary.json").read_text())
        assert row["best_scaling"] == (summary["best_scaling"]["method"] or "none")
        assert float(row["ece_best_scaled"]) == pytest.approx(summary["best_scaling"]["test"]["ece"])
    assert "After the best scaling, chosen and fitted on validation" in out
    methods = held.losses[2].best_scaling
    assert methods
    tables = [(folder / f"tables/scaling.{kind}").read_text() for kind in ("tex", "md", "csv")]
    assert all(f"AdaFocal (best: {methods})" in text for text in tables)
    assert methods in out
    assert methods in page_of(folder)
    assert [entry.loss for entry in held.losses] == ["cross_entropy", "flsd53", "adafocal"]
    page = (folder / "report.html").read_text()
    for text in (out, page, *((folder / f"tables/ece.{kind}").read_text() for kind in ("tex", "md", "csv"))):
        assert "Cross-entropy + best scaling" in text
    assert "3 losses on" in page

    other, both = tmp_path / "other", tmp_path / "both"
    shutil.copytree(folder, other)
    assert main(["study", "--compare", str(folder), str(other), "--study_dir", str(both)]) == 0
    [experiment] = StudyFolder(both).comparison.experiments
    assert [entry.loss for entry in experiment.scaled] == [
        "study/cross_entropy + best scaling", "other/cross_entropy + best scaling",
    ]  # fmt: skip
    assert experiment.scaled[0].versus_baseline["nll"].mean == pytest.approx(scaled.versus_baseline["nll"].mean)


def page_of(folder):
    return (folder / "report.html").read_text()


def test_older_runs_are_read_and_only_the_reference_is_scaled(study_folder, tmp_path, capsys):
    folder = tmp_path / "study"
    shutil.copytree(study_folder, folder)
    for path in [*folder.rglob("summary.json"), *folder.rglob("best_scaling.json")]:
        if path.name == "best_scaling.json":
            path.unlink()
            continue
        held = json.loads(path.read_text())
        del held["best_scaling"]
        path.write_text(json.dumps(held))
    arguments = ["--epochs", "3", "--seeds", "0", "1", "--baseline", "adafocal", "--study_dir", str(folder)]
    assert main(["study", *arguments]) == 0
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))

    assert all(row["best_scaling"] for row in rows[:2])
    assert [row["best_scaling"] for row in rows[2:]] == [""] * 4
    assert [row["ece_best_scaled"] for row in rows[2:]] == [""] * 4
    assert main(["report", str(folder / "runs/digits/adafocal-s0")]) == 0
    assert "after the best scaling" not in page_of(folder / "runs/digits/adafocal-s0")


def test_a_row_that_repeats_its_loss_is_not_in_the_finding(study_folder, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(study_folder, folder)
    for path in folder.rglob("cross_entropy-s*/summary.json"):
        held = json.loads(path.read_text())
        held["best_scaling"] |= {"method": "", "test": held["test"]}
        path.write_text(json.dumps(held))
    for path in folder.rglob("best_scaling.json"):
        path.unlink()
    assert (
        main(["study", "--epochs", "3", "--seeds", "0", "1", "--baseline", "adafocal", "--study_dir", str(folder)]) == 0
    )
    [experiment] = StudyFolder(folder).comparison.experiments

    assert experiment.scaled[0].title == "Cross-entropy + best scaling (none helps)"
    assert "none helps" not in experiment.finding
    assert "Lowest test ECE" in experiment.finding


def test_a_loss_may_not_be_named_as_the_row_of_another(tmp_path, capsys, unchecked_shapes):
    plan = tmp_path / "plan.yaml"
    plan.write_text("losses: [cross_entropy, {loss: focal, name: cross_entropy + best scaling}]\nseeds: [0]\n")
    assert main(["study", str(plan), "--dry-run", "--study_dir", str(tmp_path / "s")]) == 2
    assert "`name` must not end in ' + best scaling', as the row of a loss after its best" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("no\nluck"), MemoryError()])
def test_a_scaling_that_fails_is_a_note_and_loses_no_run(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(measured, "find_remedy", fail)
    held = results._best({"validation": drawn(100, seed=0), "test": drawn(100, seed=1)}, 15)
    said = "ValueError: no luck" if isinstance(error, ValueError) else "MemoryError: "
    assert held == {"notes": [f"The best scaling is not known: {said}".rstrip()]}


def test_a_run_says_which_scaling_is_best_on_terminal_page_and_in_its_results(tmp_path, capsys):
    quick = ["--epochs", "2", "--progress", "false", "--run_dir", str(tmp_path / "run")]
    assert main(["train", *quick]) == 0
    out, run = capsys.readouterr().out, RunFolder(tmp_path / "run")
    best = run.summary.best_scaling
    assert best is not None
    expected = find_best_scaling(run)

    assert (best.method, best.part, best.rows) == (expected.method, "validation", 500)
    assert best.test["nll"] == pytest.approx(expected.test["nll"])
    assert f"test, best       error {100 * best.test['error']:>6.2f} %" in out
    assert (
        f"best scaling     {titled(best.method)}; chosen by cross-fitting on 500 samples of the validation part" in out
    )
    page = page_of(tmp_path / "run")
    assert f"after the best scaling: {titled(best.method)}" in page
    assert "after temperature scaling, T = " in page


def test_a_study_without_cross_entropy_shows_its_baseline(study_folder, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(study_folder, folder)
    arguments = ["--losses", "flsd53", "adafocal", "--epochs", "3", "--seeds", "0", "1", "--study_dir", str(folder)]
    assert main(["study", *arguments]) == 0

    assert [entry.loss for entry in StudyFolder(folder).comparison.experiments[0].scaled] == ["flsd53 + best scaling"]
