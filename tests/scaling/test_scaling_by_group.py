# SPDX-License-Identifier: Apache-2.0
"""Scalings by group, simulated: they are found where groups differ, and cost nothing where they do not."""

from functools import partial
from math import inf

import numpy as np
import pyarrow as pa
import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal.calibration import evaluate
from adafocal.scaling import fit_by_group, fit_temperature, fit_vector, load_scaling
from adafocal.scaling.groups import fit_groups


def drawn(n, n_groups, apart, *, seed=0):
    """Logits whose true temperature is 2, times a factor from exp(-apart) to exp(apart) by group."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, 4, generator=generator)
    group = torch.randint(0, n_groups, (n,), generator=generator)
    factor = torch.exp(apart * torch.linspace(-1, 1, n_groups))[group]
    labels = torch.multinomial((logits / (2 * factor)[:, None]).softmax(1), 1, generator=generator)[:, 0]
    return Predictions(logits=logits, labels=labels), [f"g{one}" for one in group.tolist()]


@pytest.mark.parametrize("n_groups", [2, 12])
def test_groups_that_do_not_differ_take_the_pooled_scaling(n_groups):
    taken = [fit_by_group(*drawn(600, n_groups, 0.0, seed=seed)).strength for seed in range(4)]
    assert taken.count(inf) == 4


def test_groups_that_differ_are_scaled_apart_and_better_on_new_rows():
    fitted = fit_by_group(*drawn(2000, 4, 0.7))
    new, groups = drawn(8000, 4, 0.7, seed=1)

    assert [round(fitted.groups[f"g{g}"].temperature, 1) for g in range(4)] == pytest.approx([1, 1.6, 2.5, 4], abs=0.5)
    assert evaluate(fitted.apply(new, groups)).nll < evaluate(fitted.pooled.apply(new)).nll - 0.02


@pytest.mark.parametrize(("n", "n_groups", "apart"), [(300, 8, 0.0), (300, 8, 0.4)])
def test_small_groups_are_never_worse_than_the_pooled_scaling_beyond_chance(n, n_groups, apart):
    new, groups = drawn(10_000, n_groups, apart, seed=100)
    behind = []
    for seed in range(3):
        fitted = fit_by_group(*drawn(n, n_groups, apart, seed=seed))
        behind.append(evaluate(fitted.apply(new, groups)).nll - evaluate(fitted.pooled.apply(new)).nll)
    assert sum(behind) / len(behind) < 0.001


def test_one_row_groups_unseen_groups_and_rows_without_one_take_the_pooled_scaling():
    predictions, groups = drawn(1000, 3, 0.8)
    groups[0], groups[1], groups[2] = "alone", None, None
    fitted = fit_by_group(predictions, groups)
    some = predictions[torch.arange(3)]

    assert sorted(fitted.groups) == ["g0", "g1", "g2"]
    assert torch.equal(fitted.apply(some, ["alone", None, "new"]).logits, fitted.pooled.apply(some).logits)
    assert not torch.equal(fitted.apply(some, ["g0"] * 3).logits, fitted.pooled.apply(some).logits)


def test_each_row_is_scaled_as_its_group_in_any_order(tmp_path):
    predictions, groups = drawn(1000, 3, 0.8)
    fit_by_group(predictions, groups, by="site").save(tmp_path / "g.json")
    fitted = load_scaling(tmp_path / "g.json")
    found = fitted.apply(predictions, groups)

    assert (fitted.by, fitted.origin.rows) == ("site", 1000)
    for row in range(10):
        one = predictions[torch.tensor([row])]
        assert torch.equal(found.logits[row : row + 1], fitted.groups[groups[row]].apply(one).logits)


def test_other_methods_and_outcomes_are_drawn_together_alike():
    predictions, groups = drawn(1500, 2, 0.9)
    fitted = fit_by_group(predictions, groups, fit=partial(fit_vector, regularization=0.1))
    assert fitted.groups["g0"].weight[0, 0] > 1.5 * fitted.groups["g1"].weight[0, 0]
    outcomes = Outcomes(confidence=predictions.confidence, correct=predictions.correct)
    found = fit_groups(outcomes, groups, fit=fit_temperature, by="site")
    assert isinstance(found.rows["after"], Outcomes)
    assert evaluate(found.rows["after"]).nll < evaluate(found.rows["after, pooled"]).nll


def test_weights_count_and_clusters_stay_together():
    predictions, groups = drawn(1000, 2, 0.9)
    heavy = Predictions(logits=predictions.logits, labels=predictions.labels, weight=torch.linspace(0, 2, 1000))
    twice = [fit_by_group(one, groups).groups["g1"].temperature for one in (predictions, heavy)]
    assert twice[0] != twice[1]
    few = Predictions(logits=predictions.logits, labels=predictions.labels, cluster=torch.arange(1000) % 4)
    assert (
        fit_groups(few, groups, fit=fit_temperature, by="g").why_not == "too few clusters, 4, for 5 folds of at least 2"
    )


def test_groups_are_texts_one_per_row(unchecked_shapes):
    predictions, groups = drawn(100, 2, 0.5)
    fitted = fit_by_group(predictions, groups)
    with pytest.raises(ValueError, match=r"`groups` must have one value per row, 100, got 99\."):
        fit_by_group(predictions, groups[1:])
    with pytest.raises(TypeError, match=r"`groups` must be texts or None, got 1: use str"):
        fit_by_group(predictions, [1] * 100)
    with pytest.raises(TypeError, match=r"`groups` must be given, one per row, for a scaling by group, got none\."):
        fitted.apply(predictions)
    with pytest.raises(TypeError, match=r"`groups` must be a tensor or an array, got float\."):
        fit_by_group(predictions, 0.5)
    with pytest.raises(TypeError, match=r"`fit` must be a function that fits one scaling, got 3\."):
        fit_by_group(predictions, groups, fit=3)
    with pytest.raises(TypeError, match=r"`by` must be what groups are called, a text, got 3\."):
        fit_by_group(predictions, groups, by=3)


def test_groups_may_be_arrays_and_columns_of_texts():
    predictions, groups = drawn(400, 2, 0.7)
    expected = fit_by_group(predictions, groups).content()

    assert expected["groups"]
    for given in (np.array(groups), np.array(groups, dtype=object), pa.array(groups), tuple(groups)):
        assert fit_by_group(predictions, given).content() == expected
