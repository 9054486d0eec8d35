# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
import torch.nn.functional as F

from adafocal import Predictions
from adafocal.scaling import fit_temperature, scaled_nll, temperature


def drawn(n=400, n_classes=5, seed=0, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, n_classes, generator=generator)
    labels = torch.distributions.Categorical(logits=logits).sample()
    return Predictions(logits=scale * logits, labels=labels)


@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0])
def test_it_is_the_likelihood_after_the_fitted_temperature(scale):
    torch.manual_seed(0)
    predictions = drawn(scale=scale)
    scaled = fit_temperature(predictions).apply(predictions)

    assert scaled_nll(predictions) == pytest.approx(float(F.cross_entropy(scaled.logits, scaled.labels)), rel=1e-6)


def test_the_size_of_logits_makes_no_difference():
    torch.manual_seed(0)
    one = drawn()
    other = Predictions(logits=7 * one.logits, labels=one.labels)

    assert scaled_nll(one) == pytest.approx(scaled_nll(other), rel=1e-6)


def test_whole_weights_are_repeated_rows():
    torch.manual_seed(0)
    one = drawn(60)
    weight = torch.arange(60) % 3
    rows = torch.arange(60).repeat_interleave(weight)

    weighted = Predictions(logits=one.logits, labels=one.labels, weight=weight.double())
    repeated = Predictions(logits=one.logits[rows], labels=one.labels[rows])
    assert scaled_nll(weighted) == pytest.approx(scaled_nll(repeated), rel=1e-6)


def test_of_many_numbers_the_temperature_is_fitted_to_evenly_spaced_rows(monkeypatch):
    torch.manual_seed(0)
    predictions = drawn(4000)
    exact = scaled_nll(predictions)
    seen = []
    minimise = temperature._minimise

    def watched(scores, *rest, **options):
        seen.append(len(scores))
        return minimise(scores, *rest, **options)

    monkeypatch.setattr(temperature, "_minimise", watched)
    monkeypatch.setattr(temperature, "CHUNK", 5000)

    assert scaled_nll(predictions) == pytest.approx(exact, abs=1e-3)
    assert seen == [1000]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_has_no_number(value):
    assert math.isnan(temperature.nll_left(torch.tensor([[value, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])))
    assert math.isnan(temperature.nll_left(torch.tensor([[-math.inf, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])))


def test_a_network_that_never_errs_has_nothing_left():
    sure = Predictions(logits=torch.tensor([[9.0, 0.0], [0.0, 9.0]]), labels=torch.tensor([0, 1]))

    assert scaled_nll(sure) == pytest.approx(0.0, abs=1e-12)
    assert scaled_nll(Predictions(logits=torch.zeros(4, 2), labels=torch.tensor([0, 1, 1, 1]))) == pytest.approx(
        math.log(2)
    )
