# SPDX-License-Identifier: Apache-2.0
"""Models are compared on the same rows: differences, intervals and verdicts."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from scipy import stats

import adafocal as af
from adafocal.calibration import evaluate
from adafocal.evaluation.compare import compare
from adafocal.measures import OF_COMPARISON
from adafocal.selective import aurc


def model(n=600, seed=0, scale=1.0, noise=0.0, **more):
    """Predictions of one model of three classes; those of one seed are of the same rows."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, 3, generator=generator)
    labels = torch.multinomial((0.6 * logits).softmax(dim=1), 1, generator=generator)[:, 0]
    logits = logits + noise * torch.randn(n, 3, generator=generator)
    return af.Predictions(logits=scale * logits, labels=labels, **more)


def test_values_are_those_of_evaluate_and_differences_those_of_the_values():
    before, after = model(), model(scale=0.6, noise=0.3)
    found = compare({"before": before, "after": after}, n_bins=10)

    for name, record in (("before", before), ("after", after)):
        summary = evaluate(record, n_bins=10)
        assert found[name].summary == summary
        assert found[name].aurc == pytest.approx(float(aurc(record.confidence, ~record.correct)), abs=1e-9)
    for name, one in found["after"].versus_baseline.items():
        assert one.value == pytest.approx(found["after"].value(name) - found["before"].value(name), abs=1e-6)
        assert one.low <= one.value <= one.high


def test_means_are_those_of_the_paired_t_test():
    before, after = model(), model(scale=0.6, noise=0.3)
    found = compare({"before": before, "after": after})["after"].versus_baseline
    rows = [-one.log_probs.double().gather(1, one.labels[:, None])[:, 0].numpy() for one in (before, after)]
    test = stats.ttest_rel(rows[1], rows[0])
    low, high = test.confidence_interval(0.95)

    assert found["nll"].value == pytest.approx((rows[1] - rows[0]).mean(), abs=1e-9)
    # Skewed rows have fewer degrees of freedom than N - 1, so that ours is a little wider.
    assert found["nll"].low == pytest.approx(low, rel=0.05)
    assert found["nll"].low <= low + 1e-9
    assert found["nll"].high == pytest.approx(high, rel=0.05)
    assert found["nll"].high >= high - 1e-9
    assert found["nll"].p_value == pytest.approx(test.pvalue, rel=0.4)


def test_rows_that_are_the_same_make_intervals_narrow():
    records = {"a": model(), "b": model(scale=0.6)}
    paired, unpaired = (compare(records, paired=how)["b"].versus_baseline for how in (True, False))

    for name in ("nll", "brier", "overconfidence"):
        widths = [of[name].high - of[name].low for of in (paired, unpaired)]
        assert widths[0] < 0.6 * widths[1]
        assert paired[name].value == pytest.approx(unpaired[name].value)
    assert compare(records, paired=False).matched_by == "none"


def test_unmatched_rows_have_the_interval_of_two_samples():
    records = {"a": model(400), "b": model(700, seed=5)}
    found = compare(records)
    gaps = [(one.confidence - one.correct.float()).double().numpy() for one in records.values()]
    low, high = stats.ttest_ind(gaps[1], gaps[0], equal_var=False).confidence_interval(0.95)

    assert not found.paired
    assert "400 rows in a and 700 in b" in found.notes[0]
    assert found["b"].versus_baseline["overconfidence"].low == pytest.approx(low, abs=2e-3)
    assert found["b"].versus_baseline["overconfidence"].high == pytest.approx(high, abs=2e-3)


@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_the_same_rows_have_no_difference_at_all(kind):
    first = model()
    second = af.Predictions(**{kind: getattr(first, kind)}, labels=first.labels)
    found = compare({"a": first, "b": second})

    assert found.sentence == "b and a hold the same rows: no difference."
    assert {one.verdict for one in found["b"].versus_baseline.values()} == {"the same rows, no difference"}
    assert {(one.value, one.low, one.high) for one in found["b"].versus_baseline.values()} == {(0.0, 0.0, 0.0)}
    assert found.tests == 0


def test_p_values_are_corrected_over_all_measures_and_comparisons():
    found = compare({"a": model(), "b": model(scale=0.6), "c": model(noise=0.5)}, baseline="a")
    tests = [one for other in found.others for one in other.versus_baseline.values()]
    ordered = sorted(tests, key=lambda one: one.p_value)

    assert found.tests == len(tests) == 12
    assert ordered[0].p_corrected == pytest.approx(min(1.0, 12 * ordered[0].p_value))
    assert all(one.p_corrected >= one.p_value for one in tests)
    for one in tests:
        assert (one.verdict in ("better", "worse")) == (one.p_corrected < 0.05)
    assert any("12 tests (measures and 2 comparisons, Holm)" in note for note in found.notes)


def test_the_baseline_turns_the_difference_around():
    records = {"a": model(), "b": model(scale=0.6)}
    first, second = (compare(records, baseline=name) for name in ("a", "b"))

    turned = {"better": "worse", "worse": "better"}
    for name in OF_COMPARISON:
        one, other = first["b"].versus_baseline[name], second["a"].versus_baseline[name]
        assert one.value == pytest.approx(-other.value)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
        assert turned.get(one.verdict, one.verdict) == other.verdict
    assert second.others[0].name == "a"


def test_over_confidence_is_better_the_nearer_it_is_to_zero():
    right = torch.arange(2000) % 10 < 7
    said = {"over": 0.8, "true": 0.7, "under": 0.6}
    records = {name: af.Outcomes(confidence=torch.full((2000,), level), correct=right) for name, level in said.items()}
    found = compare(records)

    true, under = (found[name].versus_baseline["overconfidence"] for name in ("true", "under"))
    assert true.verdict == "better"
    assert under.value == pytest.approx(-0.2, abs=1e-6)
    assert under.verdict == "not distinguishable"  # as far from 0 on the other side


def test_classes_of_another_order_are_put_in_order_and_others_are_refused():
    first = model(classes=("cat", "dog", "owl"))
    order = [2, 0, 1]
    labels = torch.tensor([order.index(label) for label in first.labels.tolist()])
    second = af.Predictions(logits=first.logits[:, order], labels=labels, classes=("owl", "cat", "dog"))

    found = compare({"a": first, "b": second})
    assert found.sentence == "b and a hold the same rows: no difference."
    assert "The classes of b are put in the order of a." in found.notes
    with pytest.raises(
        ValueError, match=r"must have the same classes, got cat, dog, owl in 'a' and cat, dog, ox in 'b'"
    ):
        compare({"a": first, "b": model(classes=("cat", "dog", "ox"))})


def test_classes_without_names_are_taken_in_order_and_that_is_said():
    found = compare({"a": model(classes=("cat", "dog", "owl")), "b": model()})

    assert found.sentence == "b and a hold the same rows: no difference."
    assert "The classes of b have no names: they are taken for those of a." in found.notes


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_cannot_be_compared_is_refused_in_a_sentence():
    one, outcomes = model(), af.Outcomes(confidence=torch.tensor([0.5]), correct=torch.tensor([True]))
    unlabelled = af.Predictions(logits=one.logits)

    for records, sentence in (
        ({"a": one}, "at least two records, got 1"),
        ([one, one], "must be records by name, got list"),
        ({"a": one, "b": 3}, "must be Predictions or Outcomes, got int for 'b'"),
        ({"a": one, "b": outcomes}, "must all be of one kind, got predictions in 'a' and outcomes in 'b'"),
        ({"a": one, "b": unlabelled}, "`labels` must be given"),
        ({"a": one, "b": af.Predictions(probs=torch.full((600, 2), 0.5), labels=one.labels % 2)}, "got 3 in 'a' and 2"),
    ):
        with pytest.raises((ValueError, TypeError), match=sentence):
            compare(records)
    with pytest.raises(ValueError, match="`baseline` must be one of a, b, got 'c'"):
        compare({"a": one, "b": one}, baseline="c")
    with pytest.raises(ValueError, match="`positive_class` must not be given for outcomes"):
        compare({"a": outcomes, "b": outcomes}, positive_class=1)


def test_few_rows_are_not_taken_for_many():
    right = torch.ones(5, dtype=torch.bool)
    records = {
        name: af.Outcomes(confidence=torch.full((5,), sure), correct=right) for name, sure in (("a", 0.9), ("b", 0.8))
    }
    found = compare(records)["b"].versus_baseline

    assert found["accuracy"].low < -0.3
    assert found["accuracy"].high > 0.3
    assert {found[name].why for name in ("nll", "brier", "aurc")} == {"fewer than two mistakes"}
    assert found["ece_debiased"].why == "fewer than 30 independent rows"


def test_an_infinite_likelihood_has_no_difference_and_says_why():
    probs = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]).repeat(20, 1)
    labels = torch.tensor([0, 0, 0]).repeat(20)
    found = compare({"a": af.Predictions(probs=probs, labels=labels),
                     "b": af.Predictions(probs=torch.full((60, 2), 0.5), labels=labels)})  # fmt: skip

    assert found["b"].versus_baseline["nll"].verdict == "no interval"
    assert math.isnan(found["b"].versus_baseline["nll"].value)
    assert any("No interval of NLL: a true class had probability 0" in note for note in found.notes)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["compared"][0]["nll"] is None


def test_whole_weights_are_repeated_rows_but_for_intervals():
    generator = torch.Generator().manual_seed(1)
    times = torch.randint(0, 4, (600,), generator=generator)
    records = {"a": model(), "b": model(scale=0.6, noise=0.2)}
    rows = torch.arange(600).repeat_interleave(times)
    weighted = compare({name: af.Predictions(logits=one.logits, labels=one.labels, weight=times)
                        for name, one in records.items()})["b"].versus_baseline  # fmt: skip
    repeated = compare({name: one[rows] for name, one in records.items()})["b"].versus_baseline

    for name in OF_COMPARISON:
        assert weighted[name].value == pytest.approx(repeated[name].value, abs=1e-6)
    assert weighted["nll"].high - weighted["nll"].low > repeated["nll"].high - repeated["nll"].low


def test_rows_of_one_cluster_are_not_taken_to_be_independent():
    rows = torch.arange(60).repeat_interleave(10)
    alone, clustered = ({"a": model(60), "b": model(60, scale=0.6, noise=0.3)} for _ in range(2))
    tenfold = {name: one[rows] for name, one in clustered.items()}
    for one in tenfold.values():
        one.cluster = rows
    found, apart = compare(tenfold)["b"].versus_baseline, compare(alone)["b"].versus_baseline

    for name in ("nll", "brier", "overconfidence", "aurc"):
        # Each row ten times in one cluster tells what the rows tell alone.
        assert found[name].high - found[name].low == pytest.approx(apart[name].high - apart[name].low, rel=0.12)


@pytest.mark.parametrize("positive", [0, 2])
def test_the_event_may_be_a_class(positive):
    records = {"a": model(), "b": model(scale=0.6)}
    found = compare(records, positive_class=positive)

    assert found["a"].summary == evaluate(records["a"], positive_class=positive)
    for name in ("accuracy", "nll", "brier", "overconfidence", "ece_debiased"):
        value = getattr(found["b"].summary, name) - getattr(found["a"].summary, name)
        assert found["b"].versus_baseline[name].value == pytest.approx(value, abs=1e-6)
    assert found.event.text == f"the label is class {positive}"


def test_the_record_is_frozen_public_and_plain():
    found = af.compare({"a": model(), "b": model(scale=0.6)})

    with pytest.raises(dataclasses.FrozenInstanceError):
        found.baseline = "b"
    held = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert held["baseline"] == "a"
    assert held["matched_by"] == "order"
    assert [one["name"] for one in held["compared"]] == ["a", "b"]
    assert set(held["compared"][1]["versus_baseline"]) == set(OF_COMPARISON)
    assert held["compared"][1]["versus_baseline"]["nll"]["verdict"] == "better"
    assert held["sentence"].startswith("b is better than a in ")


def test_the_sentence_names_winner_loser_and_what_is_not_distinguishable():
    found = compare({"a": model(2000), "b": model(2000, scale=0.6, noise=1.0), "c": model(2000)})

    assert found.sentence.startswith("b is better than a in debiased ECE and over-confidence and worse in accuracy, ")
    assert ", and not distinguishable in NLL; " in found.sentence
    assert found.sentence.endswith("; c and a hold the same rows: no difference.")
    assert np.isnan(found["c"].versus_baseline["nll"].p_value)


def test_long_names_are_cut_and_never_two_of_them_to_the_same_text():
    beginning = "a model with a name that goes on and on until "
    found = compare({f"{beginning}{end}": model(scale=scale) for end, scale in (("x", 1.0), ("y", 0.6))})
    assert found.sentence.startswith("a model with a name…es on and on until y is better than a model with a name…")
    assert compare({"n" * 100: model(), "b": model()}).labels == {"n" * 100: "n" * 39 + "…", "b": "b"}
    assert list(compare({"a b": model(), "a  b": model()}).labels.values()) == ["a b (1)", "a b (2)"]


def test_a_name_that_is_not_compared_is_refused():
    with pytest.raises(ValueError, match="`name` must be one of a, b, got 'c'"):
        compare({"a": model(), "b": model()})["c"]
