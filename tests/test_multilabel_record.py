# SPDX-License-Identifier: Apache-2.0
"""The record of several labels: what it takes, what it gives of each label, and how it is measured and stored."""

import json
import math

import numpy as np
import pytest
import torch

import adafocal as af
from adafocal.calibration import evaluate
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.calibration.judge import corrected

NAMES = ("cat", "dog", "rare")


def record(kind="logits", n=900, **more):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(n, 3, generator=generator) - torch.tensor([0.0, 1.0, 4.0])
    slope = torch.tensor([1.0, 0.3, 1.0])
    labels = (torch.rand(n, 3, generator=generator) < (slope * logits).sigmoid()).long()
    labels[::7, 1] = -100
    values = logits if kind == "logits" else logits.sigmoid()
    return af.MultilabelPredictions(**{kind: values, "labels": labels, "classes": NAMES, **more})


@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_a_label_is_measured_as_the_event_that_it_applies(kind):
    held = record(kind, weight=torch.arange(900) % 3)
    summary = evaluate(held)
    by_hand = {}
    for place, name in enumerate(NAMES):
        known = held.labels[:, place] != -100
        p = held.probs[known, place]
        two = af.Predictions(
            probs=torch.stack([1 - p, p], 1), labels=held.labels[known, place], weight=held.weight[known]
        )
        by_hand[name] = evaluate(two, positive_class=1)
        assert (held.of_label(name).labels == held.of_label(place).labels).all()
        happened, weight = held.labels[known, place].double(), held.weight[known].double()
        assert summary.prevalence[name] == pytest.approx(float(weight @ happened / weight.sum()))
    for name in CATALOGUE:
        each = [getattr(by_hand[label], name) for label in NAMES]
        assert [getattr(summary.labels[label], name) for label in NAMES] == pytest.approx(each, rel=1e-4, abs=1e-6)
        if name in summary.macro:
            assert summary.macro[name] == pytest.approx(sum(each) / 3, rel=1e-4, abs=1e-6)
    assert set(CATALOGUE) - set(summary.macro) == {"p_calibrated", "classwise_ece"}


def test_verdicts_of_labels_hold_their_level_together_and_the_worst_stands_first():
    held = record()
    summary = evaluate(held)
    alone = {name: evaluate(held.of_label(name), positive_class=1).verdict for name in NAMES}
    assert {name: one.verdict for name, one in summary.labels.items()} == corrected(alone)
    assert summary.worst_first[0] == "dog"
    assert [summary.labels[name].verdict.miscalibrated for name in summary.worst_first] == [True, False, False]
    assert summary.answer.startswith("1 of 3 labels miscalibrated beyond chance: dog. All entries: ")


def test_all_entries_are_clusters_of_their_samples():
    held = record()
    pooled, micro = held.pooled(), evaluate(held).micro
    rows, columns = (held.labels != -100).nonzero().T
    assert torch.equal(pooled.logits[:, 1] - pooled.logits[:, 0], held.logits[rows, columns])
    assert torch.equal(pooled.cluster, rows)
    assert (micro.n, micro.n_clusters) == (len(rows), 900)
    assert math.isnan(micro.p_calibrated)
    assert all(map(math.isfinite, micro.overconfidence_interval))
    # Entries that are copies of one another tell no more than one of them does.
    one = held.logits[:, :1], held.labels[:, :1]
    copied = af.MultilabelPredictions(logits=one[0].expand(-1, 3), labels=one[1].expand(-1, 3))
    alone = af.MultilabelPredictions(logits=one[0], labels=one[1], cluster=torch.arange(900))
    ends = (evaluate(of).micro.overconfidence_interval for of in (copied, alone))
    assert next(ends) == pytest.approx(next(ends), rel=1e-6)
    assert record(cluster=torch.arange(900) // 10).pooled().cluster.unique().numel() == 90
    assert alone[:5].pooled().n == 5


def test_a_label_of_which_nothing_is_known_is_left_out_and_named():
    held = record()
    labels = held.labels.clone()
    labels[:, 2] = -100
    summary = evaluate(af.MultilabelPredictions(logits=held.logits, labels=labels, classes=NAMES))
    assert (list(summary.labels), summary.unknown) == (["cat", "dog"], ("rare",))
    assert "Nothing is known of rare." in summary.answer
    assert summary.macro["nll"] == pytest.approx(sum(one.nll for one in summary.labels.values()) / 2)


def test_a_summary_is_json_a_frame_and_a_table():
    summary = evaluate(record())
    told = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert told["labels"]["dog"]["nll"] == summary.labels["dog"].nll
    assert told["micro"]["p_calibrated"] is None
    assert told["labels"]["dog"]["verdict"]["text"].startswith("Probabilities are ")
    frame = summary.to_frame()
    assert list(frame["row"]) == [*NAMES, "macro", "micro"]
    assert list(frame["nll"]) == [
        *(one.nll for one in summary.labels.values()),
        summary.macro["nll"],
        summary.micro.nll,
    ]
    happened = record().pooled().labels.double().mean().item()
    assert frame["prevalence"].tolist() == pytest.approx(
        [*summary.prevalence.values(), sum(summary.prevalence.values()) / 3, happened]
    )
    html = summary._repr_html_()
    assert html.index("dog") < html.index("mean of labels") < html.index(">cat<")


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
@pytest.mark.parametrize("kind", ["logits", "probs"])
@pytest.mark.parametrize("classes", [NAMES, None])
def test_a_record_of_labels_is_read_back_as_it_was(suffix, kind, classes, tmp_path):
    held = record(kind, classes=classes, weight=torch.rand(900), cluster=torch.arange(900) // 2)
    held.save(tmp_path / f"record{suffix}")
    back = af.MultilabelPredictions.load(tmp_path / f"record{suffix}", weight="weight", cluster="cluster")
    assert (back.kind, back.classes) == (kind, classes)
    for name in ("_values", "labels", "weight", "cluster"):
        assert torch.equal(getattr(back, name), getattr(held, name)), name


def test_a_table_names_the_labels_of_its_columns(tmp_path, rejects):
    path = tmp_path / "table.csv"
    path.write_text("label_dog,prob_cat,prob_dog,label_cat\n1,0.9,0.8,0\nnan,0.5,0.5,1\n")
    back = af.MultilabelPredictions.load(path)
    assert back.classes == ("cat", "dog")
    assert back.labels.tolist() == [[0, 1], [1, -100]]
    torch.testing.assert_close(back.probs, torch.tensor([[0.9, 0.8], [0.5, 0.5]]))
    path.write_text("prob_cat,prob_dog,label_cat\n0.9,0.8,0\n")
    with rejects(
        ValueError, "columns must include `label_dog`, got prob_cat, prob_dog, label_cat: did you mean 'label_cat'?"
    ):
        af.MultilabelPredictions.load(path)
    path.write_text("prob_cat,prob_dog,label_cat,label_dog\n0.9,0.8,0,1\n0.9,1.8,0,1\n")
    with rejects(ValueError, "`probs` must lie in [0, 1], got [0.9, 1.8] in row 1."):
        af.MultilabelPredictions.load(path)


def test_labels_may_be_booleans_or_floats_with_missing_ones():
    probs = [[0.5, 0.5]]
    for labels in ([[True, False]], np.array([[1.0, 0.0]]), torch.tensor([[1, 0]], dtype=torch.int8)):
        assert af.MultilabelPredictions(probs=probs, labels=labels).labels.tolist() == [[1, 0]]
    assert af.MultilabelPredictions(probs=probs, labels=[[math.nan, 1.0]]).labels.tolist() == [[-100, 1]]


def test_what_is_no_such_record_gets_a_sentence(rejects):
    make, probs, labels = af.MultilabelPredictions, torch.rand(4, 2), torch.ones(4, 2)
    with rejects(TypeError, "`logits` or `probs` must be given, and not both."):
        make(labels=labels)
    with rejects(ValueError, "`labels` must have one value per value of `probs`, (4, 2), got (4,)."):
        make(probs=probs, labels=labels[:, 0])
    with rejects(ValueError, "`labels` must be 0 or 1 (-100 or NaN where it is not known), got 2 in row 0."):
        make(probs=probs, labels=2 * labels)
    with rejects(ValueError, "`probs` must lie in [0, 1], got [2, 2] in row 0."):
        make(probs=2 * torch.ones(4, 2), labels=labels)
    with rejects(ValueError, "`logits` must be finite (-inf only for masked labels), got [inf, inf] in row 0."):
        make(logits=torch.inf * labels, labels=labels)
    with rejects(ValueError, "`classes` must name each of the 2 labels once, got a, a."):
        make(probs=probs, labels=labels, classes=["a", "a"])
    with rejects(ValueError, "`probs` must have shape (N, L) with N, L >= 1, got (0, 2)."):
        make(probs=probs[:0], labels=labels[:0])
    held = make(probs=probs, labels=torch.tensor([[1, -100]] * 4), classes=["cat", "dog"])
    with rejects(ValueError, "`label` must be a label, cat, dog, got 'cta': did you mean 'cat'?"):
        held.of_label("cta")
    with rejects(ValueError, "`labels` must be known of at least one entry of label dog, got 0."):
        held.of_label(1)
    with rejects(ValueError, "`positive_class` must not be given for several labels, got 1: use of_label(1)."):
        evaluate(held, positive_class=1)


def test_masked_labels_and_extreme_logits_are_measured():
    held = af.MultilabelPredictions(logits=torch.tensor([[1e4, -torch.inf], [-1e4, -1.0]]), labels=[[1, 0], [0, 1]])
    summary = evaluate(held)
    assert summary.labels["0"].nll == 0
    assert summary.labels["1"].nll == pytest.approx(math.log1p(math.e) / 2)
