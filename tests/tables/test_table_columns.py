# SPDX-License-Identifier: Apache-2.0
"""Which columns are found, and what is said where none or several are."""

import pytest

from adafocal.tables.columns import Columns, Names, find_columns


def test_unless_asked_for_no_features_are_looked_for():
    header = ["logits", "label", "features"]

    assert Names().features is False
    assert find_columns(header, Names()) == Columns("logits", ("logits",), "label")
    assert find_columns(header, Names(features=True)) == Columns("logits", ("logits",), "label", ("features",))


def test_one_kind_of_prediction_may_be_named_and_not_both(rejects):
    assert find_columns(["z", "probs", "label"], Names(logits="z")).values == ("z",)
    assert find_columns(["p", "logits", "label"], Names(probs="p")).values == ("p",)
    with rejects(TypeError, "`logits` or `probs` must be given, and not both."):
        Names(logits="z", probs="p")


@pytest.mark.parametrize(
    ("header", "names", "values"),
    [
        (["logit_1", "logit_0", "label"], Names(), ("logit_0", "logit_1")),
        (["probs_0", "probs_1", "label"], Names(), ("probs_0", "probs_1")),
        (["p_0", "p_1", "label"], Names(probs="p"), ("p_0", "p_1")),
        (["cat", "dog", "label"], Names(probs="dog, cat"), ("dog", "cat")),
        (["probs", "prob_0", "label"], Names(), ("probs",)),
    ],
)
def test_values_are_a_list_a_prefix_or_names(header, names, values):
    assert find_columns(header, names).values == values


def test_the_label_is_the_one_that_is_named():
    assert find_columns(["probs", "label", "labels"], Names(label="labels")).label == "labels"
    assert find_columns(["probs", "labels"], Names()).label == "labels"
    assert find_columns(["probs", "y", "label"], Names(label="y")).label == "y"


SEVERAL = "either `label` or `labels`"
RULE = "`logits` or `probs` (or `logit_0 …` or `prob_0 …`), or `confidence` and `correct`"


@pytest.mark.parametrize(
    ("header", "names", "sentence"),
    [
        (["probs", "label", "labels"], Names(), f"columns must include {SEVERAL}, got probs, label, labels."),
        (["probs"], Names(), f"columns must include {SEVERAL}, got probs."),
        (["probs", "label"], Names(label="y"), "columns must include `y`, got probs, label."),
        (["label"], Names(), f"columns must include {RULE}, got label."),
        ([], Names(), f"columns must include {RULE}, got no column."),
        (["probs", "label"], Names(logits="z"), "columns must include `z`, got probs, label."),
        (["cat", "label"], Names(probs="cat,dog"), "columns must include `cat,dog`, got cat, label."),
        (["probs", "label"], Names(by="site"), "columns must include `site`, got probs, label."),
        (["prob_1", "label"], Names(), "columns must be numbered from prob_0 without a gap, got no `prob_0`."),
        (
            ["prob_0", "prob_x", "label"],
            Names(),
            "columns must be numbered by the classes, got `prob_0` alone: name the one of the positive class.",
        ),
        (["a", "label"], Names(probs="a,a"), "`probs` must name each column once, got a, a."),
        (["probs", "probs", "label"], Names(), "columns must have names of their own, got 2 named `probs`."),
        (
            ["probs", "logits", "label"],
            Names(),
            "columns must hold logits or probabilities, or one must be named, got both.",
        ),
    ],
)
def test_what_is_missing_or_doubled_is_named(header, names, sentence, rejects):
    with rejects(ValueError, sentence):
        find_columns(header, names)


def test_what_is_wanted_is_each_column_once():
    columns = find_columns(["probs", "label", "site"], Names(by="site"))

    assert columns.wanted == ["probs", "label", "site"]
    assert find_columns(["probs", "label"], Names(by="label")).wanted == ["probs", "label"]
    assert (columns.numbers, columns.texts) == (("probs",), ("label", "site"))
