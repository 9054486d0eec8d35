# SPDX-License-Identifier: Apache-2.0
"""Sums of a stream against the same data in memory, field by field."""

import pytest
import torch

from adafocal.calibration import evaluate
from adafocal.calibration.stream import merge_sums, stream_summary, stream_sums
from adafocal.predictions import Predictions

EXACT = ("accuracy", "nll", "brier", "overconfidence", "ece", "mce", "classwise_ece")
WITHIN_A_CELL = ("ece_equal_mass", "ece_debiased", "rms", "rms_debiased", "ks", "smooth_ece")


def made(n=400, n_classes=3, kind="probs", seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((0.6 * logits).softmax(1), 1, generator=generator)[:, 0]
    return Predictions(labels=labels, **{kind: logits.softmax(1) if kind == "probs" else logits})


def parts_of(predictions, *sizes):
    given = {name: getattr(predictions, name).split(sizes) for name in (predictions.kind, "labels")}
    return [Predictions(**dict(zip(given, part, strict=True))) for part in zip(*given.values(), strict=True)]


def streamed(predictions, *sizes, **options):
    first, *others = [stream_sums(part, **options) for part in parts_of(predictions, *sizes)]
    for other in others:
        first = merge_sums(first, other)
    return stream_summary(first)


@pytest.mark.parametrize("kind", ["probs", "logits"])
@pytest.mark.parametrize("positive_class", [None, 0, 2])
@pytest.mark.parametrize(("sizes", "n_bins"), [((400,), 15), ((1, 149, 250), 15), ((400,), 1), ((200, 200), 7)])
def test_a_stream_gives_what_data_in_memory_give(kind, positive_class, sizes, n_bins):
    predictions = made(kind=kind)
    options = {"n_bins": n_bins, "positive_class": positive_class}
    whole, summary = evaluate(predictions, **options), streamed(predictions, *sizes, **options)

    assert (summary.n, summary.n_classes, summary.n_bins) == (400, 3, n_bins)
    for name in EXACT:
        assert getattr(summary, name) == pytest.approx(getattr(whole, name), abs=1e-9), name
    for name in WITHIN_A_CELL:
        assert getattr(summary, name) == pytest.approx(getattr(whole, name), abs=4e-3), name
    for name in ("accuracy_interval", "overconfidence_interval"):
        assert getattr(summary, name) == pytest.approx(getattr(whole, name), abs=1e-9), name
    assert summary.rms_interval == pytest.approx(whole.rms_interval, abs=6e-3)
    assert summary.p_calibrated == pytest.approx(whole.p_calibrated, abs=0.03)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_samples_give_what_they_give_in_memory(n):
    predictions = made(n=n)
    whole, summary = evaluate(predictions), streamed(predictions, n)

    for name in (*EXACT, "accuracy_interval", "overconfidence_interval"):
        assert getattr(summary, name) == pytest.approx(getattr(whole, name), abs=1e-9), name


def test_one_sample_has_no_interval_of_the_mean_gap():
    assert streamed(made(n=1), 1).overconfidence_interval == (-1.0, 1.0)


@pytest.mark.parametrize("right", [True, False])
def test_the_interval_of_the_mean_gap_stays_within_its_bounds(right):
    probs = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.55, 0.45]], dtype=torch.float64)
    predictions = Predictions(probs=probs, labels=torch.zeros(3).long() if right else torch.ones(3).long())

    assert streamed(predictions, 3).overconfidence_interval == pytest.approx(
        evaluate(predictions).overconfidence_interval, abs=1e-9
    )
    assert streamed(predictions, 3, positive_class=0).overconfidence_interval[1] <= 1.0


def test_without_a_gap_the_interval_of_the_mean_gap_is_a_point():
    predictions = Predictions(probs=torch.tensor([[1.0, 0.0]] * 3), labels=torch.zeros(3).long())

    assert streamed(predictions, 3).overconfidence_interval == (0.0, 0.0)


def test_of_equal_probabilities_the_first_class_is_the_answer():
    probs = torch.tensor([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.1, 0.3, 0.6], [1 / 3, 1 / 3, 1 / 3]])
    predictions = Predictions(probs=probs, labels=torch.tensor([0, 1, 2, 1]))

    assert streamed(predictions, 4).accuracy == evaluate(predictions).accuracy == 0.5


def test_more_classes_than_are_worked_on_at_a_time_give_the_same():
    predictions = made(n=300, n_classes=500)
    whole, summary = evaluate(predictions, n_bins=5), streamed(predictions, 300, n_bins=5)

    assert summary.classwise_ece == pytest.approx(whole.classwise_ece, abs=1e-9)
    assert summary.brier == pytest.approx(whole.brier, abs=1e-9)


def test_one_sample_of_very_many_classes_is_summed_class_by_class(monkeypatch):
    monkeypatch.setattr("adafocal.calibration.events.IN_CACHE", 2)
    predictions = made(n=3, n_classes=5)

    assert streamed(predictions, 3).brier == pytest.approx(evaluate(predictions).brier, abs=1e-9)


def test_a_label_whose_probability_underflows_has_the_loss_of_its_logit():
    predictions = Predictions(logits=torch.tensor([[200.0, 0.0], [0.0, 1.0]]), labels=torch.tensor([1, 1]))

    assert streamed(predictions, 2).nll == pytest.approx(evaluate(predictions).nll)
    assert streamed(predictions, 2).nll == pytest.approx(100.1566, abs=1e-4)


def test_a_probability_that_rounding_takes_above_1_counts_as_1():
    above = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)).item()
    predictions = Predictions(probs=torch.tensor([[above, 0.0]] * 3), labels=torch.zeros(3).long())
    for summary in (evaluate(predictions), streamed(predictions, 3)):
        assert (summary.overconfidence, summary.ece, summary.ks) == (0, 0, 0)


def test_the_interval_of_a_gap_near_minus_1_ends_there():
    probs = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.1, 0.9]], dtype=torch.float64)
    predictions = Predictions(probs=probs, labels=torch.zeros(3).long())

    assert streamed(predictions, 3, positive_class=0).overconfidence_interval[0] == -1.0


@pytest.mark.parametrize("confidence", [0.8, 0.3, 1.0])
@pytest.mark.parametrize("right", [True, False])
def test_equal_gaps_in_memory_have_an_interval_of_no_width(confidence, right):
    probs = torch.tensor([[confidence, 1 - confidence]] * 1000, dtype=torch.float64)
    predictions = Predictions(probs=probs, labels=torch.full((1000,), 0 if right else 1))
    low, high = evaluate(predictions, positive_class=0).overconfidence_interval

    assert (low, high) == pytest.approx((confidence - right,) * 2, abs=1e-13)


def test_a_probability_that_rounding_takes_above_1_counts_as_1_for_its_class_as_well():
    predictions = Predictions(probs=torch.tensor([[1.0005, 0.0]] * 3), labels=torch.zeros(3).long())

    assert (evaluate(predictions).classwise_ece, streamed(predictions, 3).classwise_ece) == (0, 0)
