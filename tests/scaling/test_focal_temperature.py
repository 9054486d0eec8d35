# SPDX-License-Identifier: Apache-2.0
"""Focal temperature scaling: the map of focal loss is undone, temperature scaling is a special case."""

import math

import pytest
import torch

from adafocal import Predictions
from adafocal.scaling import FocalTemperature, fit_focal_temperature, fit_temperature, load_scaling
from adafocal.scaling.focal_temperature import focal_map


def drawn(gamma, *, n=20000, c=4, temperature=1.0, seed=0):
    """Logits whose labels follow the focal map of their softmax at a temperature."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, c, generator=generator, dtype=torch.float64)
    truth = focal_map((logits / temperature).log_softmax(1), torch.tensor(gamma)).softmax(1)
    return Predictions(logits=logits, labels=torch.multinomial(truth, 1, generator=generator)[:, 0])


def nll(predictions):
    return -predictions.log_probs.gather(1, predictions.labels[:, None]).double().mean().item()


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_temperature_and_gamma_are_recovered(gamma):
    fitted = fit_focal_temperature(drawn(gamma, temperature=1.5))
    fresh = drawn(gamma, temperature=1.5, seed=1)
    exact = FocalTemperature(1.5, gamma).apply(fresh)
    assert nll(fitted.apply(fresh)) == pytest.approx(nll(exact), abs=5e-4)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 3.0])
def test_the_map_mends_what_minimises_focal_loss(gamma):
    # The minimiser of expected focal loss for class shares 0.7, 0.2, 0.1; by it the map must give the shares back.
    shares = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    logits = shares.log().clone().requires_grad_()
    solver = torch.optim.LBFGS([logits], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        log_probs = logits.log_softmax(0)
        value = shares @ -((1 - log_probs.exp()) ** gamma * log_probs)
        value.backward()
        return value

    solver.step(closure)
    mapped = focal_map(logits.detach().log_softmax(0)[None], torch.tensor(gamma)).softmax(1)[0]
    torch.testing.assert_close(mapped, shares, atol=1e-4, rtol=0)


def test_gamma_0_is_temperature_scaling():
    predictions = drawn(0.0, n=500)
    assert torch.equal(FocalTemperature(2.0, 0.0).apply(predictions).predicted, predictions.predicted)
    torch.testing.assert_close(FocalTemperature(2.0, 0.0).apply(predictions).probs, (predictions.logits / 2).softmax(1))


@pytest.mark.parametrize("seed", range(5))
def test_on_the_rows_fitted_to_it_is_at_most_temperature_scaling(seed):
    predictions = drawn(1.0, n=40, seed=seed)
    assert (
        nll(fit_focal_temperature(predictions).apply(predictions))
        <= nll(fit_temperature(predictions).apply(predictions)) + 1e-9
    )


@pytest.mark.parametrize("gamma", [-0.5, -0.2, 0.0, 1.0, 5.0])
@pytest.mark.parametrize("temperature", [0.01, 1.0, 50.0])
def test_the_predicted_class_stays(gamma, temperature):
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(500, 6, generator=generator)
    predictions = Predictions(logits=logits, labels=torch.zeros(500).long())
    after = FocalTemperature(temperature, gamma).apply(predictions)
    assert torch.equal(after.predicted, predictions.predicted)
    assert after.logits.isfinite().all()


def test_a_separable_set_gives_finite_numbers():
    labels = torch.arange(40) % 4
    predictions = Predictions(logits=5 * torch.eye(4)[labels], labels=labels)
    assert nll(fit_focal_temperature(predictions).apply(predictions)) < 0.1


def test_a_saved_one_loads_as_the_same_numbers(tmp_path):
    fitted = fit_focal_temperature(drawn(1.0, n=200))
    fitted.save(tmp_path / "map.json")
    assert load_scaling(tmp_path / "map.json") == fitted == FocalTemperature.load(tmp_path / "map.json")


def test_unusable_numbers_are_refused(rejects):
    with rejects(ValueError, "`gamma` must be a number >= -0.5 and <= 5, got 6."):
        FocalTemperature(1.0, 6)
    masked = Predictions(logits=torch.tensor([[0.0, 1.0], [0.0, -math.inf]]), labels=torch.tensor([1, 0]))
    with rejects(
        ValueError,
        "`predictions` must have no masked class (logit -inf) for focal_temperature scaling, got one in row 1.",
    ):
        fit_focal_temperature(masked)
