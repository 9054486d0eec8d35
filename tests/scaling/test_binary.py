# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adafocal import Predictions
from adafocal.calibration import expected_calibration_error
from adafocal.scaling import ARGMAX_PRESERVING, METHODS, BinaryScaling, fit_histogram, fit_isotonic, load_scaling
from adafocal.scaling.binary import _with_top
from adafocal.scaling.catalogue import TWO_CLASSES

FITS = {"isotonic": fit_isotonic, "histogram": fit_histogram}
EVENTS = ("one_vs_rest", "top_label")


def drawn(*, n=2000, c=4, temperature=3.0, seed=0):
    """Over-confident probabilities: labels are drawn at a higher temperature."""
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(n, c, generator=generator)
    labels = torch.multinomial((logits / temperature).softmax(dim=1), 1, generator=generator)[:, 0]
    return Predictions(probs=logits.softmax(dim=1), labels=labels)


def ece(predictions):
    return expected_calibration_error(predictions.confidence, predictions.correct).item()


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize("event", EVENTS)
def test_over_confidence_is_mended_on_fresh_samples(method, event):
    fitted = FITS[method](drawn(n=5000), event=event)
    fresh = drawn(n=5000, seed=1)
    assert ece(fresh) > 0.15
    assert ece(fitted.apply(fresh)) < 0.04


def test_isotonic_per_class_equals_scikit_learn():
    calibration = pytest.importorskip("sklearn.calibration")
    frozen = pytest.importorskip("sklearn.frozen")
    base = pytest.importorskip("sklearn.base")

    class Given(base.ClassifierMixin, base.BaseEstimator):
        """A classifier whose inputs are its probabilities."""

        def fit(self, x, y):
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, x):
            return x

        def predict(self, x):
            return x.argmax(axis=1)

    predictions, fresh = drawn(n=400), drawn(n=300, seed=1)
    given = Given().fit(predictions.probs.numpy(), predictions.labels.numpy())
    peer = calibration.CalibratedClassifierCV(
        frozen.FrozenEstimator(given), method="isotonic", cv=[(np.arange(400), np.arange(400))]
    )
    peer.fit(predictions.probs.double().numpy(), predictions.labels.numpy())
    expected = torch.from_numpy(peer.predict_proba(fresh.probs.double().numpy()))
    actual = fit_isotonic(predictions).apply(fresh).probs
    torch.testing.assert_close(actual.double(), expected, atol=1e-6, rtol=0)


def test_histogram_values_are_the_rates_per_bin():
    confidence = torch.tensor([0.95, 0.9, 0.75, 0.7, 0.65, 0.6])
    predictions = Predictions(
        probs=torch.stack([confidence, 1 - confidence], dim=1), labels=torch.tensor([0, 0, 0, 1, 1, 0])
    )
    fitted = fit_histogram(predictions, event="top_label", n_bins=3)
    torch.testing.assert_close(fitted.values[0], torch.tensor([0.5, 0.5, 1.0]).double())
    expected = torch.tensor([1, 1, 0.5, 0.5, 0.5, 0.5])
    torch.testing.assert_close(fitted.apply(predictions).confidence, expected, atol=1e-5, rtol=0)


def test_an_empty_bin_has_its_centre():
    predictions = Predictions(probs=torch.tensor([[0.9, 0.1], [0.8, 0.2]]), labels=torch.tensor([0, 1]))
    fitted = fit_histogram(predictions, event="top_label", n_bins=4, binning="equal_width")
    assert fitted.values[0].tolist() == [0.125, 0.375, 0.625, 0.5]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), c=st.integers(2, 12), method=st.sampled_from(sorted(FITS)), ties=st.booleans())
def test_the_top_label_variants_preserve_every_predicted_class(seed, c, method, ties):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(80, c, generator=generator)
    probs = (logits.round() if ties else logits).softmax(dim=1)
    labels = torch.randint(c, (80,), generator=generator)  # worse than chance at times: confidences below 1/C
    predictions = Predictions(probs=probs, labels=labels)
    after = FITS[method](predictions, event="top_label").apply(predictions)
    assert torch.equal(predictions.predicted, after.predicted)
    torch.testing.assert_close(after.probs.sum(dim=1), torch.ones(80))


def test_the_catalogue_says_truly_which_methods_preserve_the_predicted_class():
    predictions = drawn(n=300)
    labels = predictions.labels.clone()
    labels[::3] = 0  # a class so frequent that whatever can change predictions does, whichever labels torch drew
    as_logits = Predictions(logits=predictions.log_probs, labels=labels)
    two = Predictions(logits=as_logits.logits[:, :2], labels=(labels == 1).long())
    for name, fit in METHODS.items():
        record = two if name in TWO_CLASSES else as_logits
        same = torch.equal(record.predicted, fit(record).apply(record).predicted)
        assert same == (name in ARGMAX_PRESERVING), name


def test_certain_predictions_keep_their_place_when_lowered():
    probs = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    predictions = Predictions(probs=probs, labels=torch.tensor([0, 1, 1, 2]))
    expected = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
    torch.testing.assert_close(fit_isotonic(predictions, event="top_label").apply(predictions).probs, expected)


def test_the_rest_keeps_its_proportions():
    fitted = BinaryScaling("histogram", "top_label", 3, (torch.tensor([]).double(),), (torch.tensor([0.6]).double(),))
    after = fitted.apply(Predictions(probs=torch.tensor([[0.7, 0.2, 0.1]]), labels=torch.tensor([0])))
    torch.testing.assert_close(after.probs, torch.tensor([[0.6, 0.4 * 2 / 3, 0.4 / 3]]))


def test_a_row_that_every_map_sends_to_zero_becomes_uniform():
    knots, values = (torch.tensor([0.0, 1.0]).double(),) * 2, (torch.zeros(2).double(),) * 2
    fitted = BinaryScaling("isotonic", "one_vs_rest", 2, knots, values)
    after = fitted.apply(Predictions(probs=torch.tensor([[0.7, 0.3]]), labels=torch.tensor([0])))
    assert after.probs.tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize("event", EVENTS)
def test_equal_probabilities_and_logits_give_valid_predictions(method, event):
    labels = torch.tensor([0, 1, 1, 0])
    predictions = Predictions(logits=torch.zeros(4, 3), labels=labels)
    after = FITS[method](predictions, event=event).apply(predictions)
    assert after.kind == "probs"
    assert torch.equal(after.labels, labels)


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize("event", EVENTS)
def test_saved_maps_load_as_the_same_numbers(tmp_path, method, event):
    predictions = drawn(n=200)
    fitted = FITS[method](predictions, event=event)
    fitted.save(tmp_path / "maps.json")
    for loaded in (BinaryScaling.load(tmp_path / "maps.json"), load_scaling(tmp_path / "maps.json")):
        assert torch.equal(fitted.apply(predictions).probs, loaded.apply(predictions).probs)


def test_unusable_predictions_are_refused(rejects):
    predictions = drawn(n=50)
    single = Predictions(probs=predictions.probs, labels=torch.zeros(50, dtype=torch.int64))
    one = Predictions(probs=predictions.probs[:1], labels=predictions.labels[:1])
    with rejects(ValueError, "`labels` must name at least 2 classes to fit isotonic scaling, got only class 0."):
        fit_isotonic(single)
    with rejects(ValueError, "`predictions` must hold at least 2 samples to fit histogram scaling, got 1."):
        fit_histogram(one)
    with rejects(ValueError, "`event` must be one of 'one_vs_rest', 'top_label', got 'all'."):
        fit_isotonic(predictions, event="all")
    with rejects(ValueError, "`predictions` must have 4 classes, got 2."):
        other = Predictions(probs=torch.tensor([[0.5, 0.5]]), labels=torch.tensor([0]))
        fit_isotonic(predictions).apply(other)
    assert fit_isotonic(single, event="top_label").apply(single).n == 50


def test_damaged_maps_are_refused(rejects):
    two, three = torch.tensor([0.2, 0.8]).double(), torch.tensor([0.1, 0.5, 0.9]).double()
    with rejects(ValueError, "`knots` and `values` must describe 3 maps, got 1, 1."):
        BinaryScaling("isotonic", "one_vs_rest", 3, (two,), (two,))
    with rejects(ValueError, "`knots` must ascend, with one value per knot or bin, got others."):
        BinaryScaling("isotonic", "top_label", 3, (two,), (three,))
    with rejects(ValueError, "`values` must lie in [0, 1], got 0.4 to 1.6."):
        BinaryScaling("isotonic", "top_label", 3, (two,), (2 * two,))


def test_a_bin_of_one_sample_has_its_outcome_and_an_empty_one_its_centre():
    probs = torch.tensor([[0.9, 0.1], [0.85, 0.15], [0.6, 0.4]], dtype=torch.float64)
    predictions = Predictions(probs=probs, labels=torch.tensor([0, 0, 1]))
    fitted = fit_histogram(predictions, event="top_label", n_bins=4, binning="equal_width")

    assert fitted.values[0].tolist() == [0.125, 0.375, 0.0, 1.0]


@pytest.mark.parametrize("confidence", [0.34, 0.4, 0.45])
def test_the_rest_is_mixed_with_the_uniform_just_enough_not_to_overtake_the_top(confidence):
    probs = torch.tensor([[0.5, 0.45, 0.05]], dtype=torch.float64)
    mixed = _with_top(probs, torch.tensor([[0]]), torch.tensor([confidence], dtype=torch.float64))[0].tolist()
    plain = [confidence, (1 - confidence) * 0.9, (1 - confidence) * 0.1]

    assert plain[1] > confidence  # without the mixture the second class would be first
    assert mixed[0] == pytest.approx(confidence)
    assert mixed[1] == pytest.approx(confidence * (1 - 1e-5))
    assert sum(mixed) == pytest.approx(1)


def test_the_rest_that_does_not_overtake_keeps_its_proportions():
    probs = torch.tensor([[0.5, 0.45, 0.05]], dtype=torch.float64)
    mixed = _with_top(probs, torch.tensor([[0]]), torch.tensor([0.8], dtype=torch.float64))

    torch.testing.assert_close(mixed, torch.tensor([[0.8, 0.18, 0.02]], dtype=torch.float64))
