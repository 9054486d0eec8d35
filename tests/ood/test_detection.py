# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adafocal.ood import aupr, auroc, fpr_at_tpr, roc_curve

MEASURES = {
    "auroc": auroc,
    "aupr_out": lambda i, o: aupr(i, o, positive="ood"),
    "aupr_in": lambda i, o: aupr(i, o, positive="id"),
    "fpr95": fpr_at_tpr,
}


def tied_scores():
    return torch.randn(300).mul(3).round() / 3, torch.randn(200).add(1).mul(3).round() / 3


def test_measures_equal_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    for id_scores, ood_scores in (tied_scores(), (torch.randn(70), torch.randn(90) + 1)):
        positive = torch.cat([torch.zeros(len(id_scores)), torch.ones(len(ood_scores))]).numpy()
        scores = torch.cat([id_scores, ood_scores]).numpy()
        fpr, tpr, thresholds = metrics.roc_curve(positive, scores, drop_intermediate=False)
        curve = roc_curve(id_scores, ood_scores)
        torch.testing.assert_close(curve.false_positive_rate, torch.from_numpy(fpr))
        torch.testing.assert_close(curve.true_positive_rate, torch.from_numpy(tpr))
        torch.testing.assert_close(curve.threshold, torch.from_numpy(thresholds).double())
        assert auroc(id_scores, ood_scores).item() == pytest.approx(metrics.roc_auc_score(positive, scores))
        expected_out = metrics.average_precision_score(positive, scores)
        assert aupr(id_scores, ood_scores).item() == pytest.approx(expected_out)
        expected_in = metrics.average_precision_score(1 - positive, -scores)
        assert aupr(id_scores, ood_scores, positive="id").item() == pytest.approx(expected_in)
        assert fpr_at_tpr(id_scores, ood_scores).item() == pytest.approx(fpr[(tpr >= 0.95).argmax()])


def test_measures_equal_those_of_pytorch_ood(reference):
    arrays = reference("pytorch_ood_d12_c4")
    scores, n_id = torch.from_numpy(arrays["vim_6"]), int(arrays["n_id"])
    for name, values in (("vim", scores), ("rounded", (scores / 4).round())):
        id_scores, ood_scores = values[:n_id], values[n_id:]
        assert auroc(id_scores, ood_scores).item() == pytest.approx(float(arrays[f"auroc_{name}"]), abs=1e-12)
        assert fpr_at_tpr(id_scores, ood_scores).item() == pytest.approx(float(arrays[f"fpr95_{name}"]), abs=1e-12)


def test_auroc_is_the_share_of_ordered_pairs():
    id_scores, ood_scores = tied_scores()
    pairs = (ood_scores[:, None] > id_scores).double() + 0.5 * (ood_scores[:, None] == id_scores).double()
    torch.testing.assert_close(auroc(id_scores, ood_scores), pairs.mean())


@pytest.mark.parametrize("name", MEASURES)
def test_huge_scores_are_exact(name):
    id_scores, ood_scores = torch.randn(80, dtype=torch.float64), torch.randn(60, dtype=torch.float64) + 1
    expected = MEASURES[name](id_scores, ood_scores)
    torch.testing.assert_close(MEASURES[name](1e300 * id_scores, 1e300 * ood_scores), expected, rtol=0, atol=0)


def test_infinite_scores_have_their_rank():
    id_scores, ood_scores = torch.tensor([-math.inf, 0.0]), torch.tensor([math.inf, 1.0])
    assert auroc(id_scores, ood_scores) == 1
    assert auroc(torch.tensor([math.inf]), torch.tensor([math.inf, 0.0])) == 0.25


def test_all_equal_scores_give_the_values_of_a_guess():
    id_scores, ood_scores = torch.zeros(30), torch.zeros(10)
    assert auroc(id_scores, ood_scores) == 0.5
    assert aupr(id_scores, ood_scores) == 0.25
    assert aupr(id_scores, ood_scores, positive="id") == 0.75
    assert fpr_at_tpr(id_scores, ood_scores) == 1


def test_perfect_separation_gives_the_best_values():
    id_scores, ood_scores = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 3.0, 4.0])
    assert [MEASURES[name](id_scores, ood_scores).item() for name in MEASURES] == [1, 1, 1, 0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20), st.lists(st.integers(-5, 5), min_size=1, max_size=20))
def test_exchanging_and_negating_mirrors_the_measures(first, second):
    id_scores, ood_scores = torch.tensor(first, dtype=torch.float32), torch.tensor(second, dtype=torch.float32)
    torch.testing.assert_close(auroc(id_scores, ood_scores), 1 - auroc(ood_scores, id_scores))
    torch.testing.assert_close(auroc(id_scores, ood_scores), auroc(-ood_scores, -id_scores))
    torch.testing.assert_close(
        aupr(id_scores, ood_scores, positive="id"), aupr(-ood_scores, -id_scores, positive="ood")
    )


def test_nan_is_refused_with_its_place(rejects):
    with rejects(ValueError, "`ood_scores` must not be NaN, got NaN at position 1."):
        auroc(torch.tensor([0.0]), torch.tensor([0.0, math.nan]))


def test_no_samples_are_refused(rejects):
    with rejects(ValueError, "`id_scores` must have shape (N,) with N >= 1, got (0,)."):
        auroc(torch.tensor([]), torch.tensor([0.0]))


def test_integer_scores_are_refused(rejects):
    with rejects(TypeError, "`id_scores` must be a floating-point tensor, got dtype torch.int64."):
        auroc(torch.tensor([1]), torch.tensor([0.0]))


def test_options_out_of_range_are_named(rejects):
    one = torch.tensor([0.0])
    with rejects(ValueError, "`tpr` must be a number > 0 and <= 1, got 0."):
        fpr_at_tpr(one, one, tpr=0)
    with rejects(ValueError, "`positive` must be one of 'ood', 'id', got 'both'."):
        aupr(one, one, positive="both")
