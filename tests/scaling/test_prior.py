# SPDX-License-Identifier: Apache-2.0
"""Shifted class shares, simulated: the right posteriors and the right shares are known."""

import numpy as np
import pytest
import torch

from adafocal import Predictions
from adafocal.scaling import estimate_prior, shift_prior

MEANS = torch.tensor([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])


def posterior(x, shares):
    return (-(x[:, None] - MEANS).square().sum(2) / 2 + torch.tensor(shares).log()).softmax(1)


def drawn(n, shares, *, seed=0):
    """Points of three normal distributions, with their classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.multinomial(torch.tensor(shares), n, replacement=True, generator=generator)
    return MEANS[labels] + torch.randn(n, 2, generator=generator), labels


BEFORE, AFTER = [0.6, 0.3, 0.1], [0.1, 0.3, 0.6]


@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_true_posteriors_are_recovered(kind):
    x, _ = drawn(1000, AFTER)
    before = posterior(x, BEFORE)
    held = Predictions(**{kind: before.log() + 3 if kind == "logits" else before})
    found = shift_prior(held, source=BEFORE, target=AFTER)

    assert found.kind == kind
    torch.testing.assert_close(found.probs, posterior(x, AFTER), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("after", [AFTER, BEFORE, [0.98, 0.01, 0.01]])
def test_estimated_shares_are_within_simulated_noise(after):
    found = []
    for seed in range(20):
        x, _ = drawn(2000, after, seed=seed)
        found.append(estimate_prior(Predictions(probs=posterior(x, BEFORE)), source=BEFORE))
    shares = torch.stack(found)
    error = shares.std(0) / 20**0.5

    assert bool((shares.mean(0) - torch.tensor(after).double()).abs().le(4 * error + 1e-3).all())
    assert float(shares.std(0).max()) < 0.03


def test_without_a_shift_the_shares_stay():
    probs = posterior(drawn(500, BEFORE)[0], BEFORE)
    source = probs.double().mean(0)
    torch.testing.assert_close(
        estimate_prior(Predictions(probs=probs), source=source.tolist()), source, atol=1e-5, rtol=0
    )


def test_weights_count_in_the_estimate():
    x, labels = drawn(4000, BEFORE)
    weight = torch.tensor(AFTER)[labels] / torch.tensor(BEFORE)[labels]
    found = estimate_prior(Predictions(probs=posterior(x, BEFORE), weight=weight), source=BEFORE)
    assert found.tolist() == pytest.approx(AFTER, abs=0.06)


def test_a_masked_class_stays_masked_and_a_class_that_is_not_there_gets_nothing():
    held = Predictions(logits=torch.tensor([[0.0, 0.0, -torch.inf]]))
    found = shift_prior(held, source=[0.4, 0.4, 0.2], target=[0.5, 0.0, 0.5])
    assert found.probs.tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ([0.5, 0.5], [0.5, 0.3, 0.2], "`source` must hold 3 shares, got (2,)."),
        ([0.5, 0.3, 0.2], [0.5, 0.6, -0.1], "`target` must hold shares of at least 0, got -0.1."),
        ([0.5, 0.3, 0.2], [0.5, 0.3, 0.3], "`target` must sum to 1, got 1.1."),
        ([0.5, 0.5, 0.0], [0.5, 0.3, 0.2], "`target` must be 0 for class 2, whose share was 0 before, got 0.2: "),
        ([0.4, 0.4, 0.2], [0.0, 0.0, 1.0], "`target` must leave each row a class, got none in row 0: "),
    ],
)
def test_shares_that_fit_nothing_are_refused(rejected, source, target, sentence):
    held = Predictions(logits=torch.tensor([[0.0, 0.0, -torch.inf]]))
    rejected(lambda: shift_prior(held, source=source, target=target), sentence)


@pytest.fixture
def rejected(unchecked_shapes):
    def check(call, sentence):
        with pytest.raises(ValueError, match=r"^`") as error:
            call()
        assert str(error.value).startswith(sentence)

    return check


@pytest.mark.parametrize("junk", ["half", 0.5, b"x", [1j, 0, 0], [True, False, False], ["a", "b", "c"], [None] * 3])
def test_shares_that_are_no_numbers_are_refused_and_arrays_taken(junk, unchecked_shapes):
    held = Predictions(logits=torch.zeros(1, 3))
    with pytest.raises(TypeError, match=r"`source` must be "):
        estimate_prior(held, source=junk)
    with pytest.raises(TypeError, match=r"`target` must be "):
        shift_prior(held, source=[0.5, 0.25, 0.25], target=junk)
    assert shift_prior(held, source=np.full(3, 1 / 3), target=torch.tensor([0.5, 0.25, 0.25])).probs.tolist() == [
        pytest.approx([0.5, 0.25, 0.25])
    ]
