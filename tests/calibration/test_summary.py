# SPDX-License-Identifier: Apache-2.0
"""Every number at once."""

import json
from dataclasses import fields

import pytest
import torch

from adafocal.calibration import (
    CalibrationSummary,
    calibration_test,
    classwise_calibration_error,
    evaluate,
    expected_calibration_error,
    ks_calibration_error,
    rms_calibration_interval,
    smooth_calibration_error,
    sweep_calibration_error,
)
from adafocal.predictions import Predictions

PROMISED = {
    "n",
    "n_classes",
    "accuracy",
    "nll",
    "brier",
    "ece",
    "ece_equal_mass",
    "ece_sweep",
    "mce",
    "classwise_ece",
    "overconfidence",
}


@pytest.fixture
def predictions(reference):
    stored = reference("metrics_n777_c2")
    return Predictions(logits=stored["logits"], labels=stored["labels"])


def test_it_holds_the_published_numbers(reference, predictions):
    stored, summary = reference("metrics_n777_c2"), evaluate(predictions)

    assert summary.n == 777
    assert summary.n_classes == 2
    assert summary.ece == pytest.approx(stored["ece_15"].item(), abs=1e-6)
    assert summary.mce == pytest.approx(stored["mce_15"].item(), abs=1e-6)
    assert summary.classwise_ece == pytest.approx(stored["classwise_ece_15"].item(), abs=1e-6)
    assert summary.nll == pytest.approx(stored["nll"].item(), abs=1e-6)


def test_each_field_is_its_estimator(predictions):
    summary = evaluate(predictions, n_bins=10)
    event = predictions.confidence, predictions.correct
    expected = {
        "accuracy": predictions.correct.double().mean(),
        "overconfidence": predictions.confidence.double().mean() - predictions.correct.double().mean(),
        "ece": expected_calibration_error(*event, n_bins=10),
        "ece_equal_mass": expected_calibration_error(*event, n_bins=10, binning="equal_mass"),
        "ece_debiased": expected_calibration_error(*event, n_bins=10, binning="equal_mass", debias=True),
        "ece_sweep": sweep_calibration_error(*event),
        "mce": expected_calibration_error(*event, n_bins=10, norm="max"),
        "rms": expected_calibration_error(*event, n_bins=10, binning="equal_mass", norm="l2"),
        "rms_debiased": expected_calibration_error(*event, n_bins=10, binning="equal_mass", norm="l2", debias=True),
        "p_calibrated": calibration_test(*event, n_bins=10),
        "ks": ks_calibration_error(*event),
        "smooth_ece": smooth_calibration_error(*event),
        "classwise_ece": classwise_calibration_error(predictions.probs, predictions.labels, n_bins=10),
    }
    for name, value in expected.items():
        assert getattr(summary, name) == pytest.approx(value.item(), abs=1e-12), name
    assert summary.rms_interval == tuple(end.item() for end in rms_calibration_interval(*event, n_bins=10))
    assert summary.n_bins == 10


def test_every_interval_holds_its_estimate(predictions):
    summary = evaluate(predictions)

    for name in ("accuracy", "overconfidence", "rms"):
        low, high = getattr(summary, f"{name}_interval")
        estimate = getattr(summary, "rms_debiased" if name == "rms" else name)
        assert low <= estimate <= high


def test_probabilities_give_what_their_logits_give(predictions):
    from_probs = evaluate(Predictions(probs=predictions.probs, labels=predictions.labels)).to_dict()
    from_logits = evaluate(predictions).to_dict()

    assert from_probs.keys() == from_logits.keys()
    assert from_probs.pop("verdict")["text"] == from_logits.pop("verdict")["text"]
    for name, value in from_logits.items():
        assert from_probs[name] == pytest.approx(value, abs=1e-6), name


def test_the_dictionary_has_the_promised_keys_and_is_json(predictions):
    summary = evaluate(predictions)
    back = json.loads(json.dumps(summary.to_dict(), allow_nan=False))

    assert back.keys() >= PROMISED
    assert back.keys() == {field.name for field in fields(CalibrationSummary)}
    assert back["ece"] == summary.ece
    assert back["rms_interval"] == list(summary.rms_interval)


def test_an_infinite_likelihood_is_none_in_json():
    summary = evaluate(Predictions(probs=torch.tensor([[1.0, 0.0]]), labels=torch.tensor([1])))

    assert summary.nll == float("inf")
    assert summary.to_dict()["nll"] is None


@pytest.mark.parametrize("confidence", [0.5, 1.0])
@pytest.mark.parametrize("label", [0, 1])
def test_a_single_sample_has_every_number(confidence, label):
    probs = torch.tensor([[confidence, 1 - confidence]])
    summary = evaluate(Predictions(probs=probs, labels=torch.tensor([label])))

    for name in ("ece", "ece_equal_mass", "ece_sweep", "mce", "rms", "ks", "smooth_ece", "classwise_ece"):
        assert getattr(summary, name) == pytest.approx(abs(confidence - (label == 0))), name
    assert summary.overconfidence == pytest.approx(confidence - (label == 0))
    assert summary.overconfidence_interval == (-1.0, 1.0)
    assert summary.rms_interval == (0.0, 1.0)


def test_half_precision_logits_are_measured_in_float32():
    logits, labels = torch.randn(200, 5).half(), torch.randint(5, (200,))
    half, full = (evaluate(Predictions(logits=values, labels=labels)) for values in (logits, logits.float()))

    assert half == full


def test_a_bad_number_of_bins_is_rejected(rejects, predictions):
    with rejects(ValueError, "`n_bins` must be an integer >= 1, got 0."):
        evaluate(predictions, n_bins=0)
