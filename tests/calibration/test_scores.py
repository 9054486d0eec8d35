# SPDX-License-Identifier: Apache-2.0
"""Proper scores and the signed gap."""

import math

import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss

from adafocal.calibration import brier_decomposition, brier_score, negative_log_likelihood, overconfidence


@pytest.mark.parametrize("name", ["metrics_n1000_c10", "metrics_n777_c2"])
def test_nll_is_that_of_the_published_code(reference, name):
    stored = reference(name)
    log_probs = torch.from_numpy(stored["logits"]).log_softmax(1)

    assert negative_log_likelihood(log_probs, torch.from_numpy(stored["labels"])).item() == pytest.approx(
        stored["nll"].item(), abs=1e-6
    )


@pytest.mark.parametrize("n_classes", [2, 7])
def test_scores_are_those_of_scikit_learn(n_classes):
    probs, labels = torch.randn(400, n_classes, dtype=torch.float64).softmax(1), torch.randint(n_classes, (400,))
    nll, brier = negative_log_likelihood(probs.log(), labels), brier_score(probs, labels)

    assert nll.item() == pytest.approx(log_loss(labels, probs, labels=range(n_classes)), abs=1e-12)
    theirs = sum(brier_score_loss(labels == place, probs[:, place]) for place in range(n_classes))  # class by class
    assert brier.item() == pytest.approx(theirs, abs=1e-12)


def test_for_two_classes_the_brier_score_is_twice_that_of_the_positive_class():
    probs, labels = torch.randn(400, 2, dtype=torch.float64).softmax(1), torch.randint(2, (400,))

    assert brier_score(probs, labels).item() == pytest.approx(2 * brier_score_loss(labels, probs[:, 1]), abs=1e-12)


def test_the_extremes_of_the_scores():
    probs = torch.tensor([[1.0, 0.0]])

    assert brier_score(probs, torch.tensor([0])).item() == 0
    assert brier_score(probs, torch.tensor([1])).item() == 2
    assert negative_log_likelihood(probs.log(), torch.tensor([0])).item() == 0
    assert negative_log_likelihood(probs.log(), torch.tensor([1])).item() == math.inf


@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
@pytest.mark.parametrize("n_bins", [1, 15])
def test_the_parts_add_up_to_the_brier_score(binning, n_bins):
    probs, labels = torch.randn(500, 3, dtype=torch.float64).softmax(1), torch.randint(3, (500,))
    parts = brier_decomposition(probs, labels, n_bins=n_bins, binning=binning)
    total = parts.calibration + parts.refinement + parts.within_bins

    assert total.item() == pytest.approx(brier_score(probs, labels).item(), abs=1e-12)
    assert parts.calibration >= 0
    assert 0 <= parts.refinement <= parts.uncertainty + 1e-12


def test_where_a_bin_holds_one_probability_nothing_is_hidden_within_it():
    levels = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64).repeat_interleave(40)
    probs, labels = torch.stack([1 - levels, levels], dim=1), (torch.rand(120) < 0.6).long()
    parts = brier_decomposition(probs, labels, n_bins=10, binning="equal_width")
    accuracy = labels.view(3, 40).double().mean(dim=1)

    assert parts.within_bins.item() == pytest.approx(0.0, abs=1e-12)
    assert parts.calibration.item() == pytest.approx(
        2 * (torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64) - accuracy).square().mean().item(), abs=1e-12
    )
    assert parts.refinement.item() == pytest.approx(2 * (accuracy * (1 - accuracy)).mean().item(), abs=1e-12)
    frequency = labels.double().mean().item()
    assert parts.uncertainty.item() == pytest.approx(2 * frequency * (1 - frequency), abs=1e-12)


def test_overconfidence_is_signed():
    assert overconfidence(torch.tensor([0.75, 0.75]), torch.tensor([True, True])).item() == -0.25
    assert overconfidence(torch.tensor([0.75, 0.75]), torch.tensor([True, False])).item() == 0.25


def test_nothing_has_no_score(rejects):
    nothing, no_label = torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)
    with rejects(ValueError, "`probs` must hold at least one sample, got 0."):
        brier_score(nothing, no_label)
    with rejects(ValueError, "`log_probs` must hold at least one sample, got 0."):
        negative_log_likelihood(nothing, no_label)
    with rejects(ValueError, "`confidence` must hold at least one sample, got 0."):
        overconfidence(torch.zeros(0), torch.zeros(0))
