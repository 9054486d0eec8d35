# SPDX-License-Identifier: Apache-2.0
"""Structured matrix and vector scaling: the published penalty, the same numbers as its authors', any size."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from adafocal import Predictions
from adafocal.scaling import (
    METHODS,
    StructuredScaling,
    fit_dirichlet,
    fit_structured_matrix,
    fit_structured_vector,
    fit_temperature,
    fit_vector,
    load_scaling,
)

FITS = {"structured_vector": fit_structured_vector, "structured_matrix": fit_structured_matrix}
# In-sample NLL of SVSCalibrator and SMSCalibrator of probmetrics 1.3.0 on the softmax of these logits.
OF_PROBMETRICS = {
    "metrics_n1000_c10": (1.8924477100372314, 1.8690958403144022),
    "metrics_n777_c2": (0.5159702301025391, 0.5159653731674333),
}


def drawn(*, n=600, c=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, c, generator=generator, dtype=dtype)
    truth = 0.6 * logits * (0.5 + torch.rand(c, generator=generator)) + torch.randn(c, generator=generator)
    labels = torch.multinomial(truth.softmax(dim=1), 1, generator=generator)[:, 0]
    return Predictions(logits=logits, labels=labels)


def as_probs(predictions):
    return Predictions(probs=predictions.probs, labels=predictions.labels)


def softened(predictions):
    """Probabilities whose temperature is 1."""
    return as_probs(fit_temperature(predictions).apply(predictions))


def nll(predictions):
    return -predictions.log_probs.gather(1, predictions.labels[:, None]).double().mean().item()


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize(("n", "c"), [(50, 3), (600, 4), (300, 12)])
def test_the_gradient_of_the_published_objective_vanishes_at_the_fit(name, n, c):
    predictions = drawn(n=n, c=c)
    fitted = FITS[name](predictions)
    probs = (predictions.logits / fit_temperature(predictions).temperature).softmax(1)
    z = ((n * probs + 1 / c) / (n + 1)).log()
    weight, bias = fitted.weight.clone().requires_grad_(), fitted.bias.clone().requires_grad_()
    v, off = weight.diagonal() - 1, weight - weight.diagonal().diag()
    penalty = c / n * (v.square().sum() + bias.square().sum()) + c * (c - 1) / n * off.square().sum()
    (cross_entropy(z @ weight.T + bias, predictions.labels) + penalty).backward()
    free = weight.grad.diagonal() if name == "structured_vector" else weight.grad

    assert fitted.uniform == pytest.approx(1 / (n + 1))
    assert free.abs().max() < 3e-4
    assert bias.grad.abs().max() < 3e-4
    torch.testing.assert_close(fitted.apply(predictions).probs, (z @ fitted.weight.T + fitted.bias).softmax(1))


def test_what_is_off_the_diagonal_is_0_in_vector_scaling():
    weight = fit_structured_vector(drawn()).weight
    assert torch.equal(weight, weight.diagonal().diag())


@pytest.mark.parametrize(("name", "of_authors"), [("structured_vector", 0), ("structured_matrix", 1)])
def test_equal_to_the_authors(reference, name, of_authors):
    for case, expected in OF_PROBMETRICS.items():
        arrays = reference(case)
        predictions = Predictions(logits=arrays["logits"], labels=arrays["labels"])
        assert nll(FITS[name](predictions).apply(predictions)) == pytest.approx(expected[of_authors], rel=1e-4)


@pytest.mark.parametrize("name", FITS)
def test_logits_and_their_probabilities_give_one_fit(name):
    predictions = drawn()
    of_logits, of_probs = (FITS[name](one).apply(one) for one in (predictions, as_probs(predictions)))

    torch.testing.assert_close(of_logits.probs, of_probs.probs, atol=1e-6, rtol=0)
    assert (of_logits.kind, of_probs.kind) == ("logits", "probs")


@pytest.mark.parametrize("name", FITS)
def test_with_many_rows_it_finds_what_classes_need(name):
    predictions, fresh = drawn(n=20000), drawn(n=20000)
    plain = nll(fit_temperature(predictions).apply(fresh))
    assert nll(FITS[name](predictions).apply(fresh)) < plain - 0.02


@pytest.mark.parametrize("name", FITS)
def test_a_huge_penalty_leaves_the_uniform_distribution_mixed_in(name):
    predictions = drawn()
    after = FITS[name](predictions, regularization=1e9).apply(predictions)
    torch.testing.assert_close(after.probs, torch.full_like(after.probs, 0.25), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", FITS)
def test_without_penalty_it_is_the_unstructured_one(name):
    predictions = softened(drawn(n=3000))
    peer = {"structured_vector": fit_vector, "structured_matrix": fit_dirichlet}[name](predictions, regularization=0.0)
    assert nll(FITS[name](predictions, regularization=0.0).apply(predictions)) == pytest.approx(
        nll(peer.apply(predictions)), abs=1e-5
    )


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("kind", ["separable", "noise", "level", "one class missing", "huge"])
def test_odd_logits_give_finite_maps(name, kind):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 4
    logits = {
        "separable": 5 * torch.eye(4)[labels],
        "noise": torch.randn(60, 4, generator=generator),
        "level": torch.zeros(60, 4),
        "one class missing": torch.randn(60, 5, generator=generator),
        "huge": 1e6 * torch.randn(60, 4, generator=generator),
    }[kind]
    predictions = Predictions(logits=logits, labels=labels)
    after = FITS[name](predictions).apply(predictions)

    assert after.logits.isfinite().all()
    assert nll(after) <= nll(predictions) + 0.05


@pytest.mark.parametrize("name", FITS)
def test_more_classes_than_rows_are_fitted(name):
    predictions = drawn(n=20, c=50)
    assert FITS[name](predictions).apply(predictions).probs.sum(1) == pytest.approx(1.0)


@pytest.mark.parametrize("name", FITS)
def test_a_saved_one_loads_as_the_same_numbers(tmp_path, name):
    predictions = drawn(n=100)
    fitted = FITS[name](predictions)
    fitted.save(tmp_path / "map.json")
    for loaded in (StructuredScaling.load(tmp_path / "map.json"), load_scaling(tmp_path / "map.json")):
        assert loaded.method == name
        assert torch.equal(fitted.apply(predictions).logits, loaded.apply(predictions).logits)


def test_float32_stays_float32():
    predictions = drawn(n=100, dtype=torch.float32)
    assert fit_structured_matrix(predictions).apply(predictions).logits.dtype == torch.float32


def test_unusable_predictions_are_refused(rejects):
    predictions = drawn(n=50)
    masked = Predictions(logits=torch.tensor([[0.0, 1.0], [0.0, -math.inf]]), labels=torch.tensor([1, 0]))
    with rejects(
        ValueError,
        "`predictions` must have no masked class (logit -inf) for structured_vector scaling, got one in row 1.",
    ):
        fit_structured_vector(masked)
    with rejects(
        ValueError, "`labels` must name at least 2 classes to fit structured_matrix scaling, got only class 1."
    ):
        fit_structured_matrix(Predictions(logits=predictions.logits, labels=torch.ones(50).long()))
    with rejects(ValueError, "`regularization` must be a finite number >= 0, got -1."):
        fit_structured_vector(predictions, regularization=-1)
    with rejects(ValueError, "`predictions` must have 4 classes, got 2."):
        fit_structured_vector(predictions).apply(masked)


def test_damaged_numbers_are_refused(rejects):
    eye, zeros = torch.eye(2).double(), torch.zeros(2).double()
    with rejects(ValueError, "`weight` must have shape (C, C) for `bias` of shape (2,), got (1, 2)."):
        StructuredScaling("structured_matrix", 1.0, 0.1, eye[:1], zeros)
    with rejects(ValueError, "`uniform` must be a number >= 0 and < 1, got 1.0."):
        StructuredScaling("structured_matrix", 1.0, 1.0, eye, zeros)
    with rejects(
        ValueError, "`weight` and `bias` must be finite, got structured_matrix scaling with numbers that are not."
    ):
        StructuredScaling("structured_matrix", 1.0, 0.0, eye, zeros / 0)


@pytest.mark.parametrize("name", ["vector", "matrix", "dirichlet"])
def test_beyond_a_size_the_older_scalings_take_the_penalty_that_needs_no_choice(name, monkeypatch):
    predictions = drawn(n=400, c=3) if name == "matrix" else softened(drawn(n=400, c=3))
    monkeypatch.setattr("adafocal.scaling.affine.MOST_CROSS_VALIDATED", 0)
    monkeypatch.setattr("adafocal.scaling.affine._cross_validated", None)
    peer = METHODS["structured_vector" if name == "vector" else "structured_matrix"](predictions)
    after = METHODS[name](predictions).apply(predictions)

    # They differ in the share of the uniform distribution; matrix scaling also in where rows of logits lie.
    assert nll(after) == pytest.approx(nll(peer.apply(predictions)), abs=0.03 if name == "matrix" else 1e-3)
    assert nll(after) <= nll(fit_temperature(predictions).apply(predictions))
