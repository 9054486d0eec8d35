# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal.scaling import fit_temperature
from adafocal.scaling.crossfit import cross_fit, draw_folds


def drawn(n, **columns):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(n, 3, generator=generator)
    labels = torch.multinomial((logits / 2).softmax(1), 1, generator=generator)[:, 0]
    return Predictions(logits=logits, labels=labels, **columns)


def test_every_row_is_scaled_by_a_fit_to_the_other_folds():
    predictions = drawn(103)
    folds = draw_folds(predictions)
    found = cross_fit(predictions, fit_temperature)

    for fold in range(5):
        expected = fit_temperature(predictions[folds != fold]).apply(predictions[folds == fold])
        assert torch.equal(found.logits[folds == fold], expected.logits)


def test_folds_are_of_one_size_and_hold_whole_clusters():
    assert draw_folds(drawn(103)).bincount().tolist() == [21, 21, 21, 20, 20]
    cluster = torch.arange(60) // 3
    folds = draw_folds(drawn(60, cluster=cluster))
    assert all(len(folds[cluster == one].unique()) == 1 for one in range(20))
    assert folds.bincount().tolist() == [12] * 5


def test_weights_count_in_the_fits():
    weight = torch.linspace(0.1, 3.0, 100)
    plain, weighted = (cross_fit(one, fit_temperature).logits for one in (drawn(100), drawn(100, weight=weight)))
    assert not torch.allclose(plain, weighted)


def test_outcomes_stay_outcomes():
    outcomes = Outcomes(confidence=torch.linspace(0.5, 0.99, 50), correct=torch.arange(50) % 3 > 0)
    found = cross_fit(outcomes, fit_temperature)
    assert isinstance(found, Outcomes)
    assert torch.equal(found.correct, outcomes.correct)
    with pytest.raises(ValueError, match="at least 2 samples"):
        cross_fit(outcomes[torch.arange(2)], fit_temperature)
