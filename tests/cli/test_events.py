# SPDX-License-Identifier: Apache-2.0
"""What `adafocal evaluate` calls things: probability and share of a class, confidence and accuracy of answers."""

import json

import numpy as np
import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal.cli import main
from adafocal.selective import aurc

GENERATOR = np.random.default_rng(0)
P = GENERATOR.uniform(0.05, 0.95, 300).round(4)
Y = GENERATOR.uniform(size=300) < P**1.3


def write(path, header, *columns):
    rows = [",".join(header), *(",".join(map(str, row)) for row in zip(*columns, strict=True))]
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def measured(tmp_path, capsys, *arguments):
    page, numbers = tmp_path / "page.html", tmp_path / "numbers.json"
    assert main(["evaluate", *arguments, "--json", str(numbers), "--html", str(page)]) == 0
    return json.loads(numbers.read_text()), capsys.readouterr().out, page.read_text("utf-8")


@pytest.mark.parametrize(
    ("spelled", "options"),
    [
        (Y.astype(int), ()),
        (Y, ()),
        (np.where(Y, "yes", "no"), ()),
        (Y.astype(float), ()),
        (np.where(Y, "spam", "ham"), ("--positive-class", "spam")),
        (np.where(Y, 2, 1), ("--positive-class", "2")),
        (np.where(Y, 1, -1), ("--positive-class", "1")),
    ],
)
def test_one_column_is_the_probability_of_the_positive_class(spelled, options, tmp_path, capsys):
    path = write(tmp_path / "one.csv", ("id", "y_true", "y_pred"), range(300), spelled, P)
    numbers, text, page = measured(tmp_path, capsys, path, "--probs", "y_pred", "--label", "y_true", *options)

    assert numbers["overconfidence"] == pytest.approx(P.mean() - Y.mean(), abs=1e-6)
    assert numbers["brier"] == pytest.approx(np.mean((P - Y) ** 2), abs=1e-6)
    assert numbers["accuracy"] == pytest.approx(np.mean((P > 0.5) == Y))
    for shown in (text, page):
        assert "over-confidence" not in shown.split("How to read")[0].lower()
        assert "mean probability - share of the class" in shown.lower()
        assert "accuracy of the class at 0.5" in shown.lower()
    assert "probability         samples  share" in text
    assert ">probability</text>" in page  # the axis


def test_a_class_by_name_is_spoken_of_by_its_name(tmp_path, capsys):
    probs = GENERATOR.dirichlet((1, 1, 1), 300).round(6)
    labels = np.array(["cat", "dog", "bird"])[GENERATOR.integers(0, 3, 300)]
    path = write(tmp_path / "three.csv", ("prob_cat", "prob_dog", "prob_bird", "label"), *probs.T, labels)
    by_name, text, page = measured(tmp_path, capsys, path, "--positive-class", "dog")
    by_index, *_ = measured(tmp_path, capsys, path, "--positive-class", "1")

    assert "calibrated event: the label is dog" in text
    assert "Reliability: the label is dog" in page
    assert {**by_name, "positive_class": "1"} == by_index
    assert main(["evaluate", path, "--positive-class", "cow"]) == 2
    sentence = "`positive_class` must be a class, cat, dog, bird, got 'cow'."
    assert sentence in capsys.readouterr().err
    assert main(["evaluate", path, "--positive-class", "3"]) == 2
    assert "cat, dog, bird, got '3'" in capsys.readouterr().err


def test_classes_are_named_on_the_page(tmp_path, capsys):
    probs = GENERATOR.dirichlet((1, 1), 100).round(6)
    labels = np.array(["yes way", "no"])[GENERATOR.integers(0, 2, 100)]
    path = write(tmp_path / "two.csv", ("prob_yes way", "prob_no", "label"), *probs.T, labels)
    _, _, page = measured(tmp_path, capsys, path)

    assert page.count("yes way") >= 2


def test_outcomes_have_no_classes_and_take_none(tmp_path, capsys):
    path = write(tmp_path / "answers.csv", ("confidence", "correct"), P, Y)
    numbers, text, page = measured(tmp_path, capsys, path)

    assert text.startswith("300 outcomes; calibrated event: the answer is right")
    assert (numbers["n_classes"], numbers["classwise_ece"]) == (0, None)
    assert numbers["accuracy"] == pytest.approx(Y.mean())
    assert "over-confidence (confidence - accuracy)" in text
    assert "section-classes" not in page
    area = 100 * float(aurc(torch.tensor(P), torch.tensor(~Y)))
    assert f"(AURC; lower is better): {area:.2f}\u00a0%" in page
    assert main(["evaluate", path, "--positive-class", "1"]) == 2
    assert "`positive_class` must not be given for outcomes, got '1'." in capsys.readouterr().err


def test_weights_clusters_and_division_are_told(tmp_path, capsys):
    probs = GENERATOR.dirichlet((1, 1, 1), 300).round(2)
    off = int((np.abs(probs.sum(axis=1) - 1) > 1e-9).sum())
    weight, cluster = GENERATOR.uniform(0.1, 2, 300).round(3), GENERATOR.integers(0, 30, 300)
    label = GENERATOR.integers(0, 3, 300)
    header = ("prob_0", "prob_1", "prob_2", "label", "w", "doc")
    path = write(tmp_path / "rows.csv", header, *probs.T, label, weight, cluster)
    numbers, text, page = measured(tmp_path, capsys, path, "--weight", "w", "--cluster", "doc")

    effective = weight.sum() ** 2 / (weight**2).sum()
    assert numbers["n_effective"] == pytest.approx(effective, rel=1e-5)
    assert (numbers["n_clusters"], numbers["p_calibrated"]) == (30, None)
    assert off > 20
    for shown in (text, page):
        shown = " ".join(shown.split())
        assert f"{off} rows did not sum to 1" in shown
        assert f"effective sample size is {effective:.1f}" in shown
        assert "Intervals are those of 30 clusters." in shown


def test_a_positive_class_that_nothing_uses_or_no_row_has_is_refused(tmp_path, capsys):
    one = write(tmp_path / "one.csv", ("p", "y"), P, np.where(Y, "spam", "ham"))
    three = write(tmp_path / "three.csv", ("prob_0", "prob_1", "label"), 1 - P, P, Y.astype(int))
    answers = write(tmp_path / "answers.csv", ("confidence", "correct"), P, Y)
    options = ["--probs", "p", "--label", "y", "--positive-class", "spaam"]

    assert main(["evaluate", one, *options]) == 2
    assert "`positive_class` must be a label that occurs, got 'spaam'." in capsys.readouterr().err
    with pytest.raises(ValueError, match="must be a label that occurs, got 'spaam'"):
        Predictions.load(one, probs="p", label="y", positive_class="spaam")
    fitted = str(tmp_path / "T.json")
    for path, got in ((three, "2 classes"), (answers, "outcomes")):
        assert main(["scale", "fit", path, "--positive-class", "1", "-o", fitted]) == 2
        sentence = "`positive_class` must go with a single column of probabilities or logits, got '1' for " + got
        assert sentence in capsys.readouterr().err
    assert main(["scale", "fit", one, *options[:-1], "spam", "-o", fitted]) == 0


def test_clusters_that_are_missing_and_answers_in_other_words_are_refused(tmp_path, capsys):
    path = write(tmp_path / "rows.csv", ("confidence", "correct", "doc"), (0.5, 0.6, 0.7), (1, 0, 1), ("a", "", "b"))
    assert main(["evaluate", path, "--cluster", "doc"]) == 2
    assert "`doc` must have no missing values, got '' in row 1" in capsys.readouterr().err
    path = write(tmp_path / "words.csv", ("confidence", "ok"), (0.5, 0.6), ("right", "wrong"))
    assert main(["evaluate", path, "--confidence", "confidence", "--correct", "ok"]) == 2
    sentence = "`ok` must be 1 or 0, true or false, yes or no, got 'right' in row 0 of"
    assert sentence in (said := capsys.readouterr().err)
    assert "positive" not in said
    for held in (["a", None], ["a", ""], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="`cluster` must"):
            Outcomes(confidence=[0.5, 0.6], correct=[1, 0], cluster=held)


def test_dividing_by_sums_is_refused_where_there_are_none(tmp_path, capsys):
    tables = {
        "logits": write(tmp_path / "z.csv", ("logit_0", "logit_1", "label"), P, P, Y.astype(int)),
        "a single column": write(tmp_path / "one.csv", ("prob", "label"), P, Y.astype(int)),
        "outcomes": write(tmp_path / "answers.csv", ("confidence", "correct"), P, Y),
    }
    for got, path in tables.items():
        assert main(["evaluate", path, "--normalize"]) == 2
        sentence = f"`normalize` must go with probabilities of all classes, got {got} in"
        assert sentence in capsys.readouterr().err


def test_rows_that_were_divided_because_the_user_asked_are_not_said_to_be_rounded(tmp_path, capsys):
    path = write(tmp_path / "counts.csv", ("a", "b", "label"), (3, 1, 2), (9, 1, 6), ("a", "b", "a"))
    _, text, page = measured(tmp_path, capsys, path, "--probs", "a,b", "--normalize")

    for shown in (text, page):
        assert "3 rows did not sum to 1 and were divided by their sum." in shown
