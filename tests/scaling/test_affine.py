# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from adafocal import Predictions
from adafocal.scaling import AffineScaling, fit_dirichlet, fit_matrix, fit_temperature, fit_vector, load_scaling
from adafocal.scaling.affine import FOLDS, GRID, _cross_validated, _minimise

FITS = {"vector": fit_vector, "matrix": fit_matrix, "dirichlet": fit_dirichlet}


def drawn(*, weight=None, bias=None, n=3000, c=4, seed=0):
    """Logits whose labels are drawn from softmax(weight @ logits + bias)."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, c, generator=generator, dtype=torch.float64)
    truth = logits @ (torch.eye(c, dtype=torch.float64) if weight is None else weight).T + (0 if bias is None else bias)
    labels = torch.multinomial(truth.softmax(dim=1), 1, generator=generator)[:, 0]
    return Predictions(logits=logits, labels=labels)


def nll(predictions):
    return -predictions.log_probs.gather(1, predictions.labels[:, None]).double().mean().item()


def test_vector_scaling_recovers_factors_and_offsets():
    factors, offsets = torch.tensor([0.3, 0.5, 0.8, 1.2]).double(), torch.tensor([1.0, 0.0, -1.0, 0.0]).double()
    fitted = fit_vector(drawn(weight=factors.diag(), bias=offsets, n=40000), regularization=0.0)
    torch.testing.assert_close(fitted.weight, factors.diag(), atol=0.05, rtol=0)
    torch.testing.assert_close(fitted.bias - fitted.bias.mean(), offsets - offsets.mean(), atol=0.1, rtol=0)


def test_matrix_scaling_undoes_a_mixing_of_classes():
    weight = torch.eye(4, dtype=torch.float64)
    weight[0, 1] = weight[2, 3] = 0.8
    predictions, fresh = drawn(weight=weight, n=20000), drawn(weight=weight, n=20000, seed=1)
    exact = cross_entropy(fresh.logits @ weight.T, fresh.labels).item()
    after = nll(fit_matrix(predictions).apply(fresh))
    assert after == pytest.approx(exact, abs=2e-3)
    assert after < nll(fit_vector(predictions).apply(fresh)) - 0.01


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("regularization", [0.0, 0.1, 10.0, None])
def test_nll_on_the_fitting_set_is_at_most_that_of_temperature(name, regularization):
    predictions = drawn(bias=torch.tensor([1.0, 0.0, 0.0, -1.0]).double(), n=300)
    before = nll(fit_temperature(predictions).apply(predictions))
    assert nll(FITS[name](predictions, regularization=regularization).apply(predictions)) <= before + 1e-9


@pytest.mark.parametrize("name", FITS)
def test_a_huge_penalty_leaves_temperature_scaling(name):
    predictions = drawn(n=300)
    after = FITS[name](predictions, regularization=1e9).apply(predictions)
    torch.testing.assert_close(after.probs, fit_temperature(predictions).apply(predictions).probs)


def test_matrix_scaling_without_penalty_is_multinomial_logistic_regression():
    linear_model = pytest.importorskip("sklearn.linear_model")
    predictions = drawn(n=500)
    peer = linear_model.LogisticRegression(C=math.inf, tol=1e-9, max_iter=2000)
    peer.fit(predictions.logits.numpy(), predictions.labels.numpy())
    expected = torch.from_numpy(peer.predict_proba(predictions.logits.numpy()))
    actual = fit_matrix(predictions, regularization=0.0).apply(predictions).probs
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


def test_dirichlet_scaling_is_the_same_for_probabilities_and_their_logits():
    predictions = drawn(n=300)
    as_probs = Predictions(probs=predictions.probs, labels=predictions.labels)
    of_logits, of_probs = (fit_dirichlet(p, regularization=0.1).apply(p) for p in (predictions, as_probs))
    torch.testing.assert_close(of_logits.probs, of_probs.probs, atol=1e-6, rtol=0)
    assert (of_logits.kind, of_probs.kind) == ("logits", "probs")


@pytest.mark.parametrize("name", ["vector", "matrix"])
def test_logits_a_thousand_times_too_large_give_the_same_predictions(name):
    predictions = drawn(n=300)
    scaled = Predictions(logits=1000 * predictions.logits, labels=predictions.labels)
    after, after_scaled = (FITS[name](p, regularization=0.01).apply(p) for p in (predictions, scaled))
    torch.testing.assert_close(after_scaled.probs, after.probs)


@pytest.mark.parametrize("name", FITS)
def test_separable_constant_and_noise_logits_give_finite_maps(name):
    labels = torch.arange(40) % 4
    for logits in (5 * torch.eye(4)[labels], torch.zeros(40, 4), torch.randn(40, 4)):
        predictions = Predictions(logits=logits, labels=labels)
        after = FITS[name](predictions).apply(predictions)
        assert nll(after) <= nll(predictions) + 1e-6


@pytest.mark.parametrize("name", FITS)
def test_a_class_that_no_label_names_does_not_run_off(name):
    predictions = drawn(n=300)
    held = predictions.labels != 3
    without = Predictions(logits=predictions.logits[held], labels=predictions.labels[held])
    fitted = FITS[name](without, regularization=0.01)
    assert fitted.bias.abs().max() < 10


@pytest.mark.parametrize("name", FITS)
def test_a_saved_map_loads_as_the_same_numbers(tmp_path, name):
    predictions = drawn(n=100)
    fitted = FITS[name](predictions, regularization=0.1)
    fitted.save(tmp_path / "map.json")
    for loaded in (AffineScaling.load(tmp_path / "map.json"), load_scaling(tmp_path / "map.json")):
        assert (loaded.method, loaded.kind) == (name, "logits")
        assert torch.equal(fitted.apply(predictions).logits, loaded.apply(predictions).logits)


def test_float32_predictions_stay_float32():
    predictions = Predictions(logits=drawn(n=100).logits.float(), labels=torch.arange(100) % 4)
    assert fit_vector(predictions, regularization=0.1).apply(predictions).logits.dtype == torch.float32


def test_unusable_predictions_are_refused(rejects):
    predictions = drawn(n=50)
    single = Predictions(logits=predictions.logits, labels=torch.full((50,), 2))
    as_probs = Predictions(probs=predictions.probs, labels=predictions.labels)
    masked = Predictions(logits=torch.tensor([[0.0, 1.0], [0.0, -math.inf]]), labels=torch.tensor([1, 0]))
    fitted = fit_vector(predictions, regularization=0.1)
    with rejects(ValueError, "`labels` must name at least 2 classes to fit vector scaling, got only class 2."):
        fit_vector(single)
    with rejects(
        ValueError, "`predictions` must hold logits for matrix scaling, got probs: Dirichlet scaling takes those."
    ):
        fit_matrix(as_probs)
    with rejects(
        ValueError, "`predictions` must have no masked class (logit -inf) for vector scaling, got one in row 1."
    ):
        fit_vector(masked)
    with rejects(ValueError, "`regularization` must be a finite number >= 0, got -1.0."):
        fit_vector(predictions, regularization=-1.0)
    with rejects(ValueError, "`predictions` must have 4 classes, got 2."):
        fitted.apply(masked)
    with rejects(ValueError, "`predictions` must hold logits as when fitted, got probs."):
        fitted.apply(as_probs)


def test_damaged_maps_are_refused(rejects):
    eye, zeros = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    with rejects(ValueError, "`weight` must have shape (C, C) for `bias` of shape (2,), got (1, 2)."):
        AffineScaling("vector", "logits", eye[:1], zeros)
    with rejects(ValueError, "`weight` and `bias` must be finite, got vector scaling with numbers that are not."):
        AffineScaling("vector", "logits", eye, zeros / 0)
    with rejects(ValueError, "`kind` must be one of 'logits', 'probs', got 'both'."):
        AffineScaling("vector", "both", eye, zeros)


@pytest.mark.parametrize("diagonal", [True, False])
def test_the_penalty_is_the_one_whose_three_folds_left_out_fare_best(diagonal):
    chosen = set()
    for seed, n in enumerate((6, 12, 30, 60, 120)):
        predictions = drawn(bias=torch.tensor([1.0, 0.0, -1.0]).double(), n=n, c=3, seed=seed)
        units, labels = predictions.logits, predictions.labels
        order, totals = torch.randperm(n, generator=torch.Generator().manual_seed(0)), {}
        for penalty in (0.001, 0.01, 0.1, 1.0, 10.0, 100.0):
            totals[penalty] = 0.0
            for fold in range(3):
                out = order[fold::3]
                kept = torch.tensor([i for i in range(n) if i not in set(out.tolist())])
                weight, bias = _minimise(units[kept], labels[kept], penalty, diagonal)
                totals[penalty] += float(cross_entropy(units[out] @ weight.T + bias, labels[out], reduction="sum"))
        best = min(totals, key=totals.get)

        assert _cross_validated(units, labels, diagonal) == best
        chosen.add(best)
    assert len(chosen) >= 3


@pytest.mark.parametrize("diagonal", [True, False])
def test_the_gradient_of_the_penalised_likelihood_vanishes_at_the_fit(diagonal):
    predictions = drawn(bias=torch.tensor([1.0, 0.0, -1.0]).double(), n=80, c=3)
    for penalty in (0.01, 0.3, 2.0):
        weight, bias = _minimise(predictions.logits, predictions.labels, penalty, diagonal)
        free = (weight.diag() if diagonal else weight).clone().requires_grad_()
        offset = bias.clone().requires_grad_()
        full = free.diag() if diagonal else free
        identity = torch.ones(3) if diagonal else torch.eye(3)
        value = cross_entropy(predictions.logits @ full.T + offset, predictions.labels)
        (value + penalty * ((free - identity).square().mean() + offset.square().mean())).backward()

        assert free.grad.abs().max() < 1e-6
        assert offset.grad.abs().max() < 1e-6


def test_the_grid_and_the_folds_are_the_documented_ones():
    assert GRID == (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
    assert FOLDS == 3
