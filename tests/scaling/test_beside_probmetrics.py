# SPDX-License-Identifier: Apache-2.0
"""Structured, temperature and isotonic scaling beside probmetrics, which is in no environment of ours by default."""

import pytest
import torch

from adafocal import Predictions
from adafocal.scaling import METHODS, fit_temperature
from adafocal.scaling.best import choose_scaling


def drawn(n, c, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, c, generator=generator)
    factors = 0.8 + 0.4 * torch.rand(c, generator=torch.Generator().manual_seed(99))
    labels = torch.multinomial((logits * factors).softmax(1), 1, generator=generator)[:, 0]
    return Predictions(probs=(1.5 * logits).softmax(1), labels=labels)


def nll(predictions):
    return float(-predictions.probs.gather(1, predictions.labels[:, None]).double().clamp_min(1e-6).log().mean())


@pytest.mark.slow
@pytest.mark.parametrize(("n", "c"), [(100, 2), (5000, 2), (300, 5), (1000, 10), (2000, 50), (1000, 1000)])
@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("temperature", "temp-scaling"),
        ("structured_vector", "svs"),
        ("structured_matrix", "sms"),
        ("isotonic", "isotonic"),
    ],
)
def test_the_likelihood_of_rows_left_out_is_that_of_probmetrics(n, c, method, peer):
    calibrators = pytest.importorskip("probmetrics.calibrators")
    if method == "structured_matrix" and c == 1000:
        pytest.skip("a million numbers take the peer too long")
    fit, test = drawn(n, c), drawn(2000, c, seed=1)
    theirs = calibrators.get_calibrator(peer).fit(fit.probs.double().numpy(), fit.labels.numpy())
    of_peer = Predictions(probs=theirs.predict_proba(test.probs.double().numpy()), labels=test.labels)

    assert nll(METHODS[method](fit).apply(test)) == pytest.approx(nll(of_peer), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("c", [2, 10, 50])
@pytest.mark.parametrize("n", [100, 300, 1000, 3000])
def test_what_is_chosen_is_never_worse_than_temperature_over_twenty_draws(n, c):
    test, ratios = drawn(10_000, c, seed=1000), []
    for seed in range(20):
        validation = drawn(n, c, seed=seed)
        plain = nll(fit_temperature(validation).apply(test))
        ratios.append(nll(choose_scaling(validation).fitted.apply(test)) / plain)

    assert sum(ratios) / len(ratios) < 1.001
