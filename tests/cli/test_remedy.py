# SPDX-License-Identifier: Apache-2.0
"""What to do about miscalibration: scalings tried out of fold, the recommendation, and the command that does it."""

import json
import re
import shlex

import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal.cli import main
from adafocal.evaluation.measure import measure
from adafocal.scaling import METHODS, fit_temperature
from adafocal.scaling.crossfit import FOLDS
from adafocal.scaling.remedy import CANDIDATES, find_remedy
from adafocal.scaling.sample import MOST_ROWS, Sample
from adafocal.tables.columns import Names
from adafocal.tables.scan import find_files, scan


def calibrated(n, n_classes=3, seed=0):
    source = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, n_classes, generator=source)
    below = logits.softmax(1).cumsum(1) < torch.rand(n, 1, generator=source)  # `multinomial` changes with torch
    return logits, below.sum(1).clamp_max(n_classes - 1)


def sharpened(n, by=2.5, n_classes=3, seed=0):
    logits, labels = calibrated(n, n_classes, seed)
    return Predictions(logits=by * logits, labels=labels)


def test_a_sharpened_model_is_softened_by_the_simplest_scaling():
    remedy = find_remedy(sharpened(2000))

    assert remedy.chosen.method == "temperature"
    assert remedy.chosen.nll < remedy.before.nll - 0.1
    assert remedy.sentences()[0].startswith("Apply temperature scaling: ECE")


@pytest.mark.parametrize(("n", "draws"), [(60, 20), (300, 8), (1500, 3)])
def test_noise_is_left_alone(n, draws):
    for seed in range(draws):
        logits, labels = calibrated(n, seed=seed)

        remedy = find_remedy(Predictions(logits=logits, labels=labels))

        assert remedy.chosen is None
        assert remedy.sentences()[0].startswith("Leave it")


def test_numbers_are_those_of_rows_that_the_scaling_was_not_fitted_to():
    predictions = sharpened(500)
    (trial,) = [one for one in find_remedy(predictions).trials if one.method == "temperature"]

    in_sample = fit_temperature(predictions).apply(predictions)
    nats = -in_sample.log_probs.gather(1, predictions.labels[:, None]).mean()

    assert trial.nll > float(nats)
    assert trial.nll == pytest.approx(float(nats), rel=0.05)


def test_rows_of_a_cluster_are_never_on_both_sides():
    # Every row occurs ten times: without clusters a scaling of many numbers would know the rows that it is tried on.
    rows = torch.arange(60).repeat_interleave(10)
    logits, labels = calibrated(60, 2, seed=1)
    alone = Predictions(logits=logits[rows], labels=labels[rows])
    together = Predictions(logits=logits[rows], labels=labels[rows], cluster=rows)

    def errors(record):
        return {trial.method: trial.gain_error for trial in find_remedy(record).trials}

    for method, error in errors(together).items():
        assert error > 2 * errors(alone)[method], method


def test_too_few_rows_are_said():
    remedy = find_remedy(sharpened(30))

    assert remedy.trials == ()
    assert "too few rows" in remedy.sentences()[0]
    assert set(remedy.left_out) == {candidate.method for candidate in CANDIDATES}


def test_every_method_is_a_candidate_or_refused_in_words():
    assert {candidate.method for candidate in CANDIDATES} == set(METHODS)
    logits, labels = calibrated(6000, 10)
    remedy = find_remedy(Predictions(logits=3 * logits, labels=labels))

    assert {trial.method for trial in remedy.trials} | set(remedy.left_out) == set(METHODS)
    assert "matrix" in {trial.method for trial in remedy.trials}


def test_outcomes_and_weights_get_a_remedy():
    source = torch.Generator().manual_seed(0)
    confidence = 0.5 + 0.5 * torch.rand(3000, generator=source)
    correct = torch.rand(3000, generator=source) < confidence - 0.25
    remedy = find_remedy(Outcomes(confidence=confidence, correct=correct, weight=torch.rand(3000, generator=source)))

    assert remedy.chosen is not None
    assert remedy.chosen.ece < remedy.before.ece / 2
    assert {trial.method for trial in remedy.trials} >= {"temperature", "histogram", "isotonic"}


def test_a_likelihood_that_was_infinite_is_mended():
    probs = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(50, 1)
    labels = torch.tensor([0, 1]).repeat(50)
    labels[::7] = 1 - labels[::7]
    remedy = find_remedy(Predictions(probs=probs, labels=labels))

    assert remedy.before.nll == float("inf")
    assert remedy.chosen is not None
    assert json.dumps(remedy.to_dict(), allow_nan=False)


def test_more_rows_than_are_tried_are_a_sample_spread_over_all():
    assert find_remedy(sharpened(12_000)).n == MOST_ROWS


def test_a_stream_keeps_rows_spread_over_it_and_no_more_than_twice_enough():
    sample = Sample()
    for start in range(0, 100_000, 1000):
        confidence = torch.arange(start, start + 1000) / 100_000
        sample.add(Outcomes(confidence=confidence, correct=torch.ones(1000, dtype=torch.bool)))
    kept = sample.joined().confidence * 100_000

    assert MOST_ROWS <= len(kept) <= 2 * MOST_ROWS
    assert kept.round().diff().unique().tolist() == [8.0]
    assert float(kept[-1]) > 99_900


def test_a_stream_gets_the_remedy_of_its_sample(tmp_path):
    sharpened(3000).save(tmp_path / "p.parquet")
    files = find_files([str(tmp_path / "p.parquet")])

    streamed = measure(scan(files, Names()), in_memory=0)[""]
    kept = measure(scan(files, Names()))[""]

    assert streamed.exact is False
    assert find_remedy(streamed.sample).to_dict() == find_remedy(kept.sample).to_dict()


def test_the_printed_command_does_what_it_says(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sharpened(2000).save("p.parquet")
    assert main(["evaluate", "p.parquet", "--json", "o.json"]) == 0
    printed = capsys.readouterr().out
    (fit,) = [line.strip() for line in printed.splitlines() if "scale fit" in line]

    assert main(shlex.split(fit)[1:]) == 0
    assert main(["scale", "apply", "scaling.json", "p.parquet", "--output", "scaled.parquet"]) == 0
    assert main(["evaluate", "scaled.parquet", "--json", "after.json", "--no_remedy"]) == 0

    before, after = (json.loads((tmp_path / name).read_text()) for name in ("o.json", "after.json"))
    assert before["remedy"]["recommended"] == "temperature"
    assert after["ece"] < before["ece"] / 2
    assert "remedy" not in after
    assert f"in {FOLDS}-fold cross-fitting over 2,000 rows" in re.sub(r"\s+", " ", printed)


def test_the_command_names_the_columns_that_were_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = torch.Generator().manual_seed(0)
    confidence = (0.5 + 0.5 * torch.rand(2000, generator=source)).tolist()
    right = [bool(float(torch.rand(1, generator=source)) < c - 0.3) for c in confidence]
    lines = ["sure,good", *(f"{c},{int(y)}" for c, y in zip(confidence, right, strict=True))]
    (tmp_path / "my answers.csv").write_text("\n".join(lines) + "\n")

    assert main(["evaluate", "my answers.csv", "--confidence", "sure", "--correct", "good"]) == 0
    fit, apply = [line.strip() for line in capsys.readouterr().out.splitlines() if "adafocal scale" in line]

    assert "'my answers.csv'" in fit
    assert main(shlex.split(fit)[1:]) == 0
    (tmp_path / "other.csv").write_text("sure,good\n0.9,1\n0.6,0\n")
    assert main(shlex.split(apply.replace("OTHER.parquet", "other.csv"))[1:]) == 0
