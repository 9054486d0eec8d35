# SPDX-License-Identifier: Apache-2.0
"""Platt scaling, beta calibration and quadratic scaling of two classes."""

import math

import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal.scaling import LogOddsScaling, fit_beta, fit_platt, fit_quadratic, load_scaling
from adafocal.scaling.crossfit import cross_fit

FITS = {"platt": fit_platt, "beta": fit_beta, "quadratic": fit_quadratic}


def drawn(truth, n=20000, seed=0):
    """Scores whose labels are drawn from the sigmoid of a function of the log-odds."""
    generator = torch.Generator().manual_seed(seed)
    odds = 2 * torch.randn(n, generator=generator, dtype=torch.float64)
    labels = (torch.rand(n, generator=generator) < truth(odds).sigmoid()).long()
    return Predictions(logits=torch.stack([torch.zeros(n).double(), odds], 1), labels=labels)


def nll(predictions):
    return -predictions.log_probs.gather(1, predictions.labels[:, None]).double().mean().item()


def test_platt_scaling_recovers_slope_and_offset():
    fitted = fit_platt(drawn(lambda s: 0.5 * s + 1))
    assert fitted.slopes[0] == pytest.approx(0.5, abs=0.03)
    assert fitted.offset == pytest.approx(1.0, abs=0.05)


def test_quadratic_scaling_recovers_a_parabola():
    fitted = fit_quadratic(drawn(lambda s: 0.5 * s - 0.2 * s**2 + 1))
    assert fitted.slopes == pytest.approx((0.5, -0.2), abs=0.03)


def test_beta_calibration_recovers_both_tails():
    fitted = fit_beta(
        drawn(lambda s: 0.4 * torch.nn.functional.logsigmoid(s) - 1.5 * torch.nn.functional.logsigmoid(-s))
    )
    assert fitted.slopes == pytest.approx((0.4, 1.5), abs=0.1)


@pytest.mark.parametrize("name", FITS)
def test_without_smoothing_it_is_logistic_regression_of_scikit_learn(name):
    linear_model = pytest.importorskip("sklearn.linear_model")
    predictions = drawn(lambda s: 0.7 * s + 0.3, n=500)
    odds = predictions.logits[:, 1]
    features = {
        "platt": odds[:, None],
        "beta": torch.stack([torch.nn.functional.logsigmoid(odds), -torch.nn.functional.logsigmoid(-odds)], 1),
        "quadratic": torch.stack([odds, odds**2], 1),
    }[name]
    peer = linear_model.LogisticRegression(C=math.inf, tol=1e-10, max_iter=5000)
    peer.fit(features.numpy(), predictions.labels.numpy())
    options = {"smoothing": False} if name == "platt" else {}
    actual = FITS[name](predictions, **options).apply(predictions).probs

    torch.testing.assert_close(actual, torch.from_numpy(peer.predict_proba(features.numpy())), atol=1e-4, rtol=0)


def test_platts_targets_stand_between_0_and_1():
    predictions = Predictions(logits=torch.tensor([[0.0, 0.0]] * 4), labels=torch.tensor([1, 1, 1, 0]))
    # All scores are equal: the mean of the targets, 3 times 4/5 and once 1/3, is what comes out.
    assert float(fit_platt(predictions).apply(predictions).probs[0, 1]) == pytest.approx((3 * 4 / 5 + 1 / 3) / 4)
    plain = fit_platt(predictions, smoothing=False).apply(predictions)
    assert float(plain.probs[0, 1]) == pytest.approx(0.75)


def test_beta_calibration_never_reverses_the_order():
    predictions = drawn(lambda s: -0.5 * s + 0.4)
    fitted = fit_beta(predictions)
    assert min(fitted.slopes) >= 0
    assert float(fitted.apply(predictions).probs[0, 1]) == pytest.approx(
        float(predictions.labels.double().mean()), abs=1e-3
    )


@pytest.mark.parametrize("name", FITS)
def test_separable_classes_give_finite_numbers(name):
    labels = torch.arange(40) % 2
    predictions = Predictions(logits=8.0 * torch.nn.functional.one_hot(labels, 2), labels=labels)
    after = FITS[name](predictions).apply(predictions)
    assert after.logits.isfinite().all()
    assert torch.equal(after.predicted, labels)


@pytest.mark.parametrize("name", FITS)
def test_logits_and_probabilities_give_one_fit(name):
    predictions = drawn(lambda s: 0.7 * s + 0.3, n=300)
    as_probs = Predictions(probs=predictions.probs, labels=predictions.labels)
    of_logits, of_probs = FITS[name](predictions).apply(predictions), FITS[name](as_probs).apply(as_probs)
    torch.testing.assert_close(of_logits.probs, of_probs.probs, atol=1e-6, rtol=0)
    assert (of_logits.kind, of_probs.kind) == ("logits", "probs")


@pytest.mark.parametrize("name", FITS)
def test_outcomes_are_scaled_too(name):
    generator = torch.Generator().manual_seed(0)
    confidence = 0.5 + 0.49 * torch.rand(2000, generator=generator)
    outcomes = Outcomes(confidence=confidence, correct=torch.rand(2000, generator=generator) < confidence - 0.2)
    after = cross_fit(outcomes, FITS[name])
    assert float(after.confidence.mean()) == pytest.approx(float(outcomes.correct.double().mean()), abs=0.01)


@pytest.mark.parametrize("name", FITS)
def test_a_saved_one_loads_as_the_same_numbers(tmp_path, name):
    fitted = FITS[name](drawn(lambda s: 0.7 * s, n=100))
    fitted.save(tmp_path / "map.json")
    assert load_scaling(tmp_path / "map.json") == fitted == LogOddsScaling.load(tmp_path / "map.json")


@pytest.mark.parametrize("name", FITS)
def test_other_than_two_classes_are_refused(rejects, name):
    three = Predictions(logits=torch.randn(6, 3), labels=torch.arange(6) % 3)
    sentence = f"`predictions` must have 2 classes for {name} scaling, got 3: structured_vector takes any number."
    with rejects(ValueError, sentence):
        FITS[name](three)
    with rejects(ValueError, sentence):
        FITS[name](drawn(lambda s: s, n=50)).with_origin(None).apply(three)


def test_damaged_numbers_are_refused(rejects):
    with rejects(ValueError, "`slopes` must be 2 for beta scaling, got 1."):
        LogOddsScaling("beta", (1.0,), 0.0)
    with rejects(ValueError, "`offset` must be a finite number, got nan."):
        LogOddsScaling("platt", (1.0,), math.nan)
